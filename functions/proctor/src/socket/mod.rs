//! The websockets of the local server.

mod background;
mod incoming;
mod outgoing;
mod worker_channel;

use axum::{
    Extension, Router,
    extract::{
        FromRequestParts, Path,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::any,
};
use common::{
    App,
    access::Caller,
    domain::access::Role,
    http::{Json, connection::Meter, limits::Limits},
    socket::handshake::{self, Authentication, Opening},
};
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

/// The largest message, in bytes, as Prefect's server takes it.
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// How much is read of a connection at once, in bytes; each has a buffer for as much, also an idle one.
const READ_BUFFER: usize = 16 * 1024;

/// Returns the routes of the websockets under `base_path`.
pub fn routes(base_path: &str) -> Router<App> {
    let at = |path: &str| format!("{base_path}{path}");
    Router::new()
        .route(
            &at("/events/in"),
            any(async |upgrade: Upgrade| upgrade.of(incoming::REQUIRED, Client::take_events).await),
        )
        .route(
            &at("/events/out"),
            any(async |upgrade: Upgrade| upgrade.of(outgoing::REQUIRED, Client::send_events).await),
        )
        .route(
            &at("/task_runs/subscriptions/scheduled"),
            any(async |upgrade: Upgrade| upgrade.of(background::REQUIRED, Client::hand_out_task_runs).await),
        )
        .route(
            &at("/work_pools/{name}/workers/connect"),
            any(async |Path(name): Path<String>, upgrade: Upgrade| {
                let talk = async move |client: Client, caller| client.serve_channel(caller, &name).await;
                upgrade.in_manner(worker_channel::MANNER).of(worker_channel::REQUIRED, talk).await
            }),
        )
        .route(&at("/logs/out"), any(async |upgrade: Upgrade| upgrade.of(outgoing::REQUIRED, Client::send_logs).await))
}

/// How a websocket is with clients before and after they are in.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// Whether a client may come without the subprotocol, as older ones do.
    knows_older_clients: bool,
    /// What is said to a client that is refused, instead of why.
    refusal: fn(&'static str) -> &'static str,
}

/// The manner of most websockets.
const PLAIN: Manner = Manner { knows_older_clients: true, refusal: |why| why };

/// A request for a websocket.
struct Upgrade {
    app: App,
    manner: Manner,
    limits: Limits,
    meter: Meter,
    headers: HeaderMap,
    request: WebSocketUpgrade,
}

impl FromRequestParts<App> for Upgrade {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Ok(request) = WebSocketUpgrade::from_request_parts(parts, app).await else {
            // To anything but a websocket there is no such route.
            return Err((StatusCode::NOT_FOUND, Json(json!({ "detail": "Not Found" }))).into_response());
        };
        let Extension(limits) = Extension::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let meter = parts.extensions.get().cloned().unwrap_or_default();
        Ok(Self { app: app.clone(), manner: PLAIN, limits, meter, headers: parts.headers.clone(), request })
    }
}

impl Upgrade {
    /// Has the websocket be otherwise with its clients.
    fn in_manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    /// Opens the websocket for a client that may do what needs the role `required`, and has `talk` go on with it.
    async fn of<Talk: Future<Output = ()> + Send>(
        self,
        required: Role,
        talk: impl FnOnce(Client, Caller) -> Talk + Send + 'static,
    ) -> Response {
        let Self { app, manner, limits, meter, headers, request } = self;
        let opening = match handshake::open(&app, &headers, required).await {
            Ok(opening) => opening,
            Err(error) => return error.into_response(),
        };
        let upgrade =
            request.max_message_size(LARGEST_MESSAGE).max_frame_size(LARGEST_MESSAGE).read_buffer_size(READ_BUFFER);
        let client = move |socket| {
            meter.start_counting(&limits);
            Client { app, manner, socket, meter, pinged: false }
        };
        match opening {
            Opening::Legacy(_) if !manner.knows_older_clients => StatusCode::FORBIDDEN.into_response(),
            Opening::Refused => StatusCode::FORBIDDEN.into_response(),
            Opening::Legacy(caller) => upgrade.on_upgrade(async move |socket| talk(client(socket), caller).await),
            Opening::Handshake => upgrade.protocols([handshake::SUBPROTOCOL]).on_upgrade(async move |socket| {
                let mut client = client(socket);
                if let Some(caller) = client.authenticate(required).await {
                    talk(client, caller).await;
                }
            }),
        }
    }
}

/// Whether the connection goes on after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Open,
    Over,
}

/// What comes of a socket; none at its end.
type Received = Option<Result<Message, axum::Error>>;

/// A client of a websocket.
struct Client {
    app: App,
    manner: Manner,
    socket: WebSocket,
    meter: Meter,
    /// Whether the client was sent a ping and nothing has come since.
    pinged: bool,
}

impl Client {
    /// Carries out the handshake; returns who the client is, if it is in.
    async fn authenticate(&mut self, required: Role) -> Option<Caller> {
        let refusal = self.manner.refusal;
        let expected = refusal(handshake::EXPECTED_AUTH);
        let message = self.first_message(handshake::POLICY_VIOLATION, expected).await?;
        let verdict = handshake::authenticate(&self.app, &message, required).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a websocket is dropped, because its key can't be looked up");
            Authentication::Senseless
        });
        self.meter.worked_off();
        match verdict {
            Authentication::Accepted(caller) => {
                let success = Message::Text(Utf8Bytes::from_static(handshake::SUCCESS));
                self.socket.send(success).await.ok().map(|()| caller)
            }
            Authentication::Rejected(reason) => {
                self.close(handshake::POLICY_VIOLATION, refusal(reason)).await;
                None
            }
            Authentication::Senseless => None,
        }
    }

    /// Waits for a message that the client owes; if it does not come in time, closes the connection with `code` and the
    /// reason `expected`. Returns none if the connection is over.
    async fn first_message(&mut self, code: u16, expected: &str) -> Option<Utf8Bytes> {
        let end = Instant::now() + self.app.settings.limits.handshake_timeout;
        loop {
            match timeout_at(end, self.socket.recv()).await {
                Ok(Some(Ok(Message::Text(message)))) => return Some(message),
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(_) => return None,
                Err(_) => {
                    self.close(code, expected).await;
                    return None;
                }
            }
        }
    }

    /// Closes the connection if the key that the client came with is over, or no longer has the role `required`.
    async fn may_go_on(&mut self, caller: Caller, required: Role) -> Connection {
        match handshake::may_go_on(&self.app, caller.key, required).await {
            Ok(true) => Connection::Open,
            Ok(false) => {
                self.close(handshake::POLICY_VIOLATION, (self.manner.refusal)(handshake::INVALID_TOKEN)).await;
                Connection::Over
            }
            Err(error) => {
                tracing::error!(%error, "a websocket is dropped, because its key can't be looked up");
                Connection::Over
            }
        }
    }

    /// Notes that something has come which is not read; says whether the connection goes on.
    fn heard(&mut self, received: Option<&Result<Message, axum::Error>>) -> Connection {
        self.pinged = false;
        self.meter.worked_off();
        match received {
            Some(Ok(Message::Close(_)) | Err(_)) | None => Connection::Over,
            Some(Ok(_)) => Connection::Open,
        }
    }

    /// Closes the connection, and says why.
    async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code, reason: reason.into() };
        if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
            // The client's own close frame ends the connection.
            let farewell = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            let _ = timeout(self.app.settings.limits.handshake_timeout, farewell).await;
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
}
