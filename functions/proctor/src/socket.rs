//! The websockets of the local server.

use std::{pin::pin, task::Poll};

use axum::{
    Json, Router,
    extract::{
        State,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use common::{
    App,
    access::Caller,
    domain::access::Role,
    model::Event,
    socket::{
        events_in,
        handshake::{self, Authentication, Opening},
    },
};
use serde_json::json;

/// The largest message, in bytes, as Prefect's server takes it.
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// How many events are written together at most.
const LARGEST_BATCH: usize = 200;

/// Returns the routes of the websockets under `base_path`.
pub fn routes(base_path: &str) -> Router<App> {
    Router::new().route(&format!("{base_path}/events/in"), any(events_in))
}

async fn events_in(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        // To anything but a websocket there is no such route.
        return (StatusCode::NOT_FOUND, Json(json!({ "detail": "Not Found" }))).into_response();
    };
    let opening = match handshake::open(&app, &headers, REQUIRED).await {
        Ok(opening) => opening,
        Err(error) => return error.into_response(),
    };
    let upgrade = upgrade.max_message_size(LARGEST_MESSAGE).max_frame_size(LARGEST_MESSAGE);
    match opening {
        Opening::Refused => StatusCode::FORBIDDEN.into_response(),
        Opening::Legacy(caller) => upgrade.on_upgrade(move |socket| take_events(app, caller, socket)),
        Opening::Handshake => upgrade.protocols([handshake::SUBPROTOCOL]).on_upgrade(async move |mut socket| {
            if let Some(caller) = authenticate(&app, &mut socket).await {
                take_events(app, caller, socket).await;
            }
        }),
    }
}

/// What sending events needs, as the operation that takes them over HTTP does.
const REQUIRED: Role = Role::Worker;

/// Carries out the handshake; returns who the client is, if it is in.
async fn authenticate(app: &App, socket: &mut WebSocket) -> Option<Caller> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(message))) => {
                let verdict = handshake::authenticate(app, &message, REQUIRED).await.unwrap_or_else(|error| {
                    tracing::error!(%error, "a websocket is dropped, because its key can't be looked up");
                    Authentication::Senseless
                });
                return match verdict {
                    Authentication::Accepted(caller) => {
                        let success = Message::Text(Utf8Bytes::from_static(handshake::SUCCESS));
                        socket.send(success).await.ok().map(|()| caller)
                    }
                    Authentication::Rejected(reason) => {
                        turn_away(socket, reason).await;
                        None
                    }
                    Authentication::Senseless => None,
                };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return None,
        }
    }
}

/// Closes the connection for a breach of policy.
async fn turn_away(socket: &mut WebSocket, reason: &'static str) {
    let frame = CloseFrame { code: handshake::POLICY_VIOLATION, reason: reason.into() };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        // The client's own close frame ends the connection.
        while let Some(Ok(_)) = socket.recv().await {}
    }
}

/// Whether the connection goes on after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Open,
    Over,
}

/// Reads events until the client leaves or sends something else, and writes together what has arrived together.
///
/// Nothing is kept for a client whose key is over by then.
async fn take_events(app: App, caller: Caller, mut socket: WebSocket) {
    loop {
        let (events, connection) = gather(&mut socket).await;
        match handshake::may_go_on(&app, caller.key, REQUIRED).await {
            Ok(true) => {}
            Ok(false) => return turn_away(&mut socket, handshake::INVALID_TOKEN).await,
            Err(error) => {
                tracing::error!(%error, "a websocket is dropped, because its key can't be looked up");
                return;
            }
        }
        if let Err(error) = events_in::keep(&app, events).await {
            tracing::error!(%error, "a websocket is dropped, because its events can't be kept");
            return;
        }
        if connection == Connection::Over {
            return;
        }
    }
}

/// Waits for a message and takes all that have arrived behind it.
///
/// A ping ends the batch: the client takes the pong, which the next read sends, for the confirmation that everything
/// before its ping is safe.
async fn gather(socket: &mut WebSocket) -> (Vec<Event>, Connection) {
    let mut events = Vec::new();
    let mut next = socket.recv().await;
    loop {
        match next {
            Some(Ok(Message::Text(message))) => match events_in::event(&message) {
                Some(event) => events.push(event),
                None => return (events, Connection::Over),
            },
            Some(Ok(Message::Ping(_))) => return (events, Connection::Open),
            Some(Ok(Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return (events, Connection::Over),
        }
        if events.len() >= LARGEST_BATCH {
            return (events, Connection::Open);
        }
        match arrived(socket).await {
            Poll::Ready(message) => next = message,
            Poll::Pending => return (events, Connection::Open),
        }
    }
}

/// Returns the next message if it is here already.
async fn arrived(socket: &mut WebSocket) -> Poll<Option<Result<Message, axum::Error>>> {
    let mut receive = pin!(socket.recv());
    std::future::poll_fn(|context| Poll::Ready(receive.as_mut().poll(context))).await
}
