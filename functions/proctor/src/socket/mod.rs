//! The websockets of the local server.

use std::{pin::pin, task::Poll};

use axum::{
    Extension, Router,
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
    http::{Json, limits::Limits},
    model::Event,
    socket::{
        events_in,
        handshake::{self, Authentication, Opening},
    },
};
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::Meter;

/// The largest message, in bytes, as Prefect's server takes it.
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// How much is read of a connection at once, in bytes; each has a buffer for as much, also an idle one.
const READ_BUFFER: usize = 16 * 1024;

/// How many events are written together at most.
const LARGEST_BATCH: usize = 200;

/// From how many bytes on a batch is written, however few events they are.
const LARGE_BATCH: usize = 1024 * 1024;

/// Returns the routes of the websockets under `base_path`.
pub fn routes(base_path: &str) -> Router<App> {
    Router::new().route(&format!("{base_path}/events/in"), any(events_in))
}

async fn events_in(
    State(app): State<App>,
    Extension(limits): Extension<Limits>,
    meter: Option<Extension<Meter>>,
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
    let upgrade =
        upgrade.max_message_size(LARGEST_MESSAGE).max_frame_size(LARGEST_MESSAGE).read_buffer_size(READ_BUFFER);
    let meter = meter.map_or_else(Meter::default, |Extension(meter)| meter);
    let client = move |socket| {
        meter.start_counting(&limits);
        Client { app, socket, meter, pinged: false }
    };
    match opening {
        Opening::Refused => StatusCode::FORBIDDEN.into_response(),
        Opening::Legacy(caller) => upgrade.on_upgrade(move |socket| client(socket).take_events(caller)),
        Opening::Handshake => upgrade.protocols([handshake::SUBPROTOCOL]).on_upgrade(async move |socket| {
            let mut client = client(socket);
            if let Some(caller) = client.authenticate().await {
                client.take_events(caller).await;
            }
        }),
    }
}

/// What sending events needs, as the operation that takes them over HTTP does.
const REQUIRED: Role = Role::Worker;

/// Whether the connection goes on after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Open,
    Over,
}

/// What comes of a socket; none at its end.
type Received = Option<Result<Message, axum::Error>>;

/// A client that sends events.
struct Client {
    app: App,
    socket: WebSocket,
    meter: Meter,
    /// Whether the client was sent a ping and nothing has come since.
    pinged: bool,
}

impl Client {
    /// Carries out the handshake; returns who the client is, if it is in.
    async fn authenticate(&mut self) -> Option<Caller> {
        let end = Instant::now() + self.app.settings.limits.handshake_timeout;
        loop {
            let message = match timeout_at(end, self.socket.recv()).await {
                Ok(Some(Ok(Message::Text(message)))) => message,
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
                Ok(_) => return None,
                Err(_) => {
                    self.turn_away(handshake::EXPECTED_AUTH).await;
                    return None;
                }
            };
            let verdict = handshake::authenticate(&self.app, &message, REQUIRED).await.unwrap_or_else(|error| {
                tracing::error!(%error, "a websocket is dropped, because its key can't be looked up");
                Authentication::Senseless
            });
            self.meter.worked_off();
            return match verdict {
                Authentication::Accepted(caller) => {
                    let success = Message::Text(Utf8Bytes::from_static(handshake::SUCCESS));
                    self.socket.send(success).await.ok().map(|()| caller)
                }
                Authentication::Rejected(reason) => {
                    self.turn_away(reason).await;
                    None
                }
                Authentication::Senseless => None,
            };
        }
    }

    /// Closes the connection for a breach of policy.
    async fn turn_away(&mut self, reason: &'static str) {
        let frame = CloseFrame { code: handshake::POLICY_VIOLATION, reason: reason.into() };
        if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
            // The client's own close frame ends the connection.
            let farewell = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            let _ = timeout(self.app.settings.limits.handshake_timeout, farewell).await;
        }
    }

    /// Reads events until the client leaves or sends something else, and writes together what has arrived together.
    ///
    /// Nothing is kept for a client whose key is over by then; a silent one is asked for a sign of life, and its key is
    /// looked at too.
    async fn take_events(mut self, caller: Caller) {
        loop {
            let (events, connection) = match timeout(self.app.settings.limits.ping_interval, self.socket.recv()).await {
                Ok(received) => self.gather(received).await,
                Err(_) => (Vec::new(), self.ping().await),
            };
            match handshake::may_go_on(&self.app, caller.key, REQUIRED).await {
                Ok(true) => {}
                Ok(false) => return self.turn_away(handshake::INVALID_TOKEN).await,
                Err(error) => {
                    tracing::error!(%error, "a websocket is dropped, because its key can't be looked up");
                    return;
                }
            }
            if let Err(error) = events_in::keep(&self.app, events).await {
                tracing::error!(%error, "a websocket is dropped, because its events can't be kept");
                return;
            }
            self.meter.worked_off();
            if connection == Connection::Over {
                return;
            }
        }
    }

    /// Sends a ping after a time without a message, unless a large one is under way; gives up who did not answer one.
    async fn ping(&mut self) -> Connection {
        if self.meter.last_read().elapsed() < self.app.settings.limits.ping_interval {
            return Connection::Open;
        }
        if self.pinged || self.socket.send(Message::Ping("alive".into())).await.is_err() {
            return Connection::Over;
        }
        self.pinged = true;
        Connection::Open
    }

    /// Takes a message and all that have arrived behind it.
    ///
    /// A ping ends the batch: the client takes the pong, which the next read sends, for the confirmation that everything
    /// before its ping is safe.
    async fn gather(&mut self, first: Received) -> (Vec<Event>, Connection) {
        self.pinged = false;
        let (mut events, mut bytes, mut next) = (Vec::new(), 0, first);
        loop {
            match next {
                Some(Ok(Message::Text(message))) => match events_in::event(&message) {
                    Some(event) => {
                        bytes += message.len();
                        events.push(event);
                    }
                    None => return (events, Connection::Over),
                },
                Some(Ok(Message::Ping(_))) => return (events, Connection::Open),
                Some(Ok(Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return (events, Connection::Over),
            }
            if events.len() >= LARGEST_BATCH || bytes >= LARGE_BATCH {
                return (events, Connection::Open);
            }
            match self.arrived().await {
                Poll::Ready(received) => next = received,
                Poll::Pending => return (events, Connection::Open),
            }
        }
    }

    /// Returns what comes next if it is here already.
    async fn arrived(&mut self) -> Poll<Received> {
        let mut receive = pin!(self.socket.recv());
        std::future::poll_fn(|context| Poll::Ready(receive.as_mut().poll(context))).await
    }
}
