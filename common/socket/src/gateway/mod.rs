//! The websockets behind an API Gateway: each connection, message and farewell is an invocation of its own.
//!
//! What a connection is about is in the table, between one message and the next ([`domain::model::Connection`]). What
//! its client is told between them comes from others ([`services::connections`]).
//!
//! The gateway answers pings by itself, and a client of `/events/in` takes a pong for the confirmation that everything
//! before its ping is safe. So an event is durable before its invocation ends, and a connection whose event can't be
//! kept is cut: what the client has no pong for by then, it sends again.
//!
//! The gateway closes a connection with 1000 or not at all, and sends no reason. So a client that has to hear why is
//! told by a message before it is cut, where its protocol knows one.

mod task_runs;
mod worker_channel;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use access::Caller;
use http::HeaderMap;
use serde_json::json;

use super::{
    events_in,
    handshake::{self, Authentication, Opening},
    subscription::{self, Topic, Wish},
    worker_channel::CloseReason,
};
use domain::{
    access::Role,
    filter::{EventFilter, LogFilter},
    model::{ApiKeyId, Connection, Socket, Subscription},
};
use error::Result;
use services::{
    App, blocks,
    connections::{self, backfill},
};
use store::{TableAccess, Versioned, occupancy};

pub use worker_channel::Protocol;

/// What the function of messages does with the table: it takes events, hands out task runs, and speaks with workers.
pub const ACCESS: TableAccess = TableAccess::WRITES_MANY.and(blocks::answers::DEFAULTS).and(occupancy::SLOTS);

/// What the function of farewells does with the table.
pub const FAREWELL: TableAccess = TableAccess::WRITES;

/// How long a message waits that fails for a passing reason, the first time; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// How long it waits at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How many connections a process remembers to be authenticated at most.
const LARGEST: usize = 10_000;

/// What follows from what the gateway tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The connection is opened, with this subprotocol if the client offered it.
    Opened(Option<&'static str>),
    /// The connection is not opened.
    Refused,
    /// The client is sent this message.
    Reply(String),
    /// The client hears nothing.
    Nothing,
    /// The connection is cut.
    HangUp,
}

/// The websockets as functions see them; a process has one.
#[derive(Debug)]
pub struct Sockets {
    app: App,
    /// The connections of `/events/in` whose clients have authenticated, with the keys that they have shown.
    ///
    /// Other connections have few messages, and are read for each.
    authenticated: Mutex<HashMap<String, Option<ApiKeyId>>>,
}

/// Returns the role that a websocket needs, as the operations over HTTP do that it stands for.
fn required(socket: &Socket) -> Role {
    match socket {
        Socket::EventsIn | Socket::TaskRuns | Socket::WorkerChannel { .. } => Role::Worker,
        Socket::EventsOut | Socket::LogsOut => Role::ReadOnly,
    }
}

impl Sockets {
    /// Puts together the websockets over `app`.
    pub fn new(app: App) -> Self {
        Self { app, authenticated: Mutex::default() }
    }

    /// Decides on a request for a connection of `socket`, and notes the connection.
    ///
    /// # Errors
    /// [`error::Error::Unavailable`] if the table can't be reached.
    pub async fn connect(&self, id: &str, socket: Socket, headers: &HeaderMap) -> Result<Answer> {
        let (caller, subprotocol) = match handshake::open(&self.app, headers, required(&socket)).await? {
            // A worker always comes with the subprotocol.
            Opening::Legacy(_) if matches!(socket, Socket::WorkerChannel { .. }) => return Ok(Answer::Refused),
            Opening::Refused => return Ok(Answer::Refused),
            Opening::Legacy(caller) => (Some(caller), None),
            Opening::Handshake => (None, Some(handshake::SUBPROTOCOL)),
        };
        let (is_authenticated, key) = (caller.is_some(), caller.and_then(|caller| caller.key));
        let connection = Connection::new(id, self.app.now(), socket);
        self.app.store.add_connection(&Connection { is_authenticated, key, ..connection }).await?;
        Ok(Answer::Opened(subprotocol))
    }

    /// Takes a message of the connection `id`: its client's credentials, or what the websocket is for, of which
    /// everything is durable at the return.
    pub async fn receive(&self, id: &str, message: &str) -> Answer {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.take(id, message).await {
                Ok(answer) => return answer,
                // Events wait for the store where they are kept. Other clients may end when they are cut.
                Err(error) if error.is_passing() && pause < LONGEST_PAUSE && self.recall(id).is_none() => {
                    tracing::warn!(%error, "a websocket's message waits for the store");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => {
                    tracing::error!(%error, "a websocket is cut, because its message can't be kept");
                    return Answer::HangUp;
                }
            }
        }
    }

    /// Forgets the connection `id`, and gives back what its client had not acknowledged.
    ///
    /// # Errors
    /// [`error::Error::Unavailable`] if the table can't be reached; the record expires by itself.
    pub async fn disconnect(&self, id: &str) -> Result<()> {
        self.authenticated.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        connections::end(&self.app, id).await
    }

    async fn take(&self, id: &str, message: &str) -> Result<Answer> {
        if let Some(key) = self.recall(id) {
            return self.take_event(id, key, message).await;
        }
        let Some(found) = self.app.store.connection(id).await? else { return Ok(Answer::HangUp) };
        if !found.record.is_authenticated {
            return self.authenticate(found, message).await;
        }
        let key = found.record.key;
        let required = required(&found.record.socket);
        if found.record.socket == Socket::EventsIn {
            self.remember(id, key);
            return self.take_event(id, key, message).await;
        }
        let Some(caller) = handshake::caller(&self.app, key, required).await? else {
            connections::end(&self.app, id).await?;
            return Ok(Answer::HangUp);
        };
        self.go_on(found, caller, message).await
    }

    async fn authenticate(&self, found: Versioned<Connection>, message: &str) -> Result<Answer> {
        let (id, socket) = (found.record.id.clone(), found.record.socket.clone());
        match handshake::authenticate(&self.app, message, required(&socket)).await? {
            Authentication::Accepted(caller) => {
                self.app.store.let_in(found, caller.key).await?;
                if socket == Socket::EventsIn {
                    self.remember(&id, caller.key);
                }
                Ok(Answer::Reply(handshake::SUCCESS.to_owned()))
            }
            Authentication::Rejected(reason) => {
                // Without its record, whatever else the connection brings cuts it.
                self.app.store.delete_connection(&id).await?;
                let reason = match socket {
                    Socket::WorkerChannel { .. } => CloseReason::of_refusal(reason).text(),
                    _ => reason,
                };
                Ok(Answer::Reply(refusal(reason)))
            }
            Authentication::Senseless => Ok(Answer::HangUp),
        }
    }

    async fn take_event(&self, id: &str, key: Option<ApiKeyId>, message: &str) -> Result<Answer> {
        if !handshake::may_go_on(&self.app, key, required(&Socket::EventsIn)).await? {
            self.app.store.delete_connection(id).await?;
            return Ok(Answer::HangUp);
        }
        let Some(event) = events_in::event(message) else { return Ok(Answer::HangUp) };
        events_in::keep(&self.app, vec![event]).await?;
        Ok(Answer::Nothing)
    }

    /// Takes a message of a client that is in, on a websocket that sends.
    async fn go_on(&self, found: Versioned<Connection>, caller: Caller, message: &str) -> Result<Answer> {
        let app = &self.app;
        match (&found.record.socket, &found.record.subscription) {
            (Socket::EventsOut, None) => match subscription::read::<EventFilter>(Topic::Events, message) {
                Ok(Wish { filter, backfill }) => {
                    let wanted = backfill::subscription(app, filter, backfill, app.now());
                    self.subscribe(&found, wanted).await
                }
                Err(_) => Ok(Answer::HangUp),
            },
            (Socket::LogsOut, None) => match subscription::read::<LogFilter>(Topic::Logs, message) {
                Ok(Wish { filter, .. }) => {
                    self.subscribe(&found, backfill::subscription_to_logs(filter, app.now())).await
                }
                Err(_) => Ok(Answer::HangUp),
            },
            (Socket::TaskRuns, _) => task_runs::take(app, &found, message).await,
            (Socket::WorkerChannel { pool }, _) => {
                let pool = pool.clone();
                worker_channel::take(app, found, caller, &pool, message).await
            }
            // What comes later is not read.
            (Socket::EventsIn | Socket::EventsOut | Socket::LogsOut, _) => Ok(Answer::Nothing),
        }
    }

    async fn subscribe(&self, found: &Versioned<Connection>, subscription: Subscription) -> Result<Answer> {
        self.app.store.subscribe(found, subscription).await?;
        Ok(Answer::Nothing)
    }

    /// Returns the key that the client of a connection has shown; the outer `None` if that is not remembered.
    fn recall(&self, id: &str) -> Option<Option<ApiKeyId>> {
        self.authenticated.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    fn remember(&self, id: &str, key: Option<ApiKeyId>) {
        let mut authenticated = self.authenticated.lock().unwrap_or_else(PoisonError::into_inner);
        if authenticated.len() >= LARGEST {
            authenticated.clear();
        }
        authenticated.insert(id.to_owned(), key);
    }
}

/// Writes the message by which a client hears why it is not let in.
fn refusal(reason: &str) -> String {
    json!({ "type": "auth_failure", "reason": reason }).to_string()
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod events_in_tests {
    use aws_sdk_dynamodb::{Client, config::retry::RetryConfig};
    use embedded::{
        EmbeddedDatabase,
        faults::{Fault, Faults},
    };
    use http::header::SEC_WEBSOCKET_PROTOCOL;
    use uuid::Uuid;

    use super::*;
    use domain::{
        access::{Mode, Password, Secret},
        filter::EventFilter,
        model::{ApiKey, Timestamp},
    };
    use settings::Settings;
    use store::{Store, event_query::Counting};

    const AUTH: &str = r#"{"type":"auth","token":"secret"}"#;

    async fn app(faults: &Faults) -> App {
        app_with(
            Settings { access: Mode::Basic(Password::Given(Secret("secret".into()))), ..Settings::default() },
            faults,
        )
        .await
    }

    async fn app_with(settings: Settings, faults: &Faults) -> App {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
        let config = config.to_builder().retry_config(RetryConfig::disabled()).build();
        let store = Store::new(Client::from_conf(config), &settings.table, settings.shards);
        store.create_table().await.unwrap();
        App::new(store, settings)
    }

    fn prefect() -> HeaderMap {
        HeaderMap::from_iter([(SEC_WEBSOCKET_PROTOCOL, "prefect".parse().unwrap())])
    }

    fn event() -> String {
        json!({
            "occurred": Timestamp::now(),
            "event": "kettle.boiled",
            "resource": {"prefect.resource.id": "kettle"},
            "id": Uuid::new_v4(),
        })
        .to_string()
    }

    async fn events(app: &App) -> u64 {
        let mut filter = EventFilter::default();
        filter.resolve(Timestamp::now());
        app.store.read_events(&filter, None, 0, Counting::Ahead).await.unwrap().counted
    }

    #[tokio::test]
    async fn an_event_is_durable_when_its_invocation_ends_whichever_process_it_is_in() {
        let app = app(&Faults::default()).await;
        let (one, other) = (Sockets::new(app.clone()), Sockets::new(app.clone()));
        assert_eq!(one.connect("c", Socket::EventsIn, &prefect()).await.unwrap(), Answer::Opened(Some("prefect")));
        assert_eq!(other.receive("c", AUTH).await, Answer::Reply(handshake::SUCCESS.into()));
        let twice = event();
        for (process, message) in [(&one, twice.clone()), (&other, event()), (&one, twice)] {
            assert_eq!(process.receive("c", &message).await, Answer::Nothing);
        }
        assert_eq!(events(&app).await, 2);
    }

    #[tokio::test]
    async fn who_has_not_shown_the_password_is_not_listened_to() {
        let socket = Sockets::new(app(&Faults::default()).await);
        assert_eq!(socket.connect("old", Socket::EventsIn, &HeaderMap::new()).await.unwrap(), Answer::Refused);
        assert_eq!(socket.receive("unknown", &event()).await, Answer::HangUp);
        socket.connect("c", Socket::EventsIn, &prefect()).await.unwrap();
        let failure = r#"{"type":"auth_failure","reason":"Invalid token"}"#;
        assert_eq!(socket.receive("c", r#"{"type":"auth","token":"wrong"}"#).await, Answer::Reply(failure.into()));
        assert_eq!(socket.receive("c", AUTH).await, Answer::HangUp);
        socket.connect("d", Socket::EventsIn, &prefect()).await.unwrap();
        assert!(matches!(socket.receive("d", &event()).await, Answer::Reply(reply) if reply.contains("auth_failure")));
        assert_eq!(events(&socket.app).await, 0);
    }

    #[tokio::test]
    async fn a_client_whose_key_is_revoked_is_not_listened_to_whichever_process_it_is_in() {
        let settings = Settings { access: Mode::Keys, key_memory: 0.0, ..Settings::default() };
        let app = app_with(settings, &Faults::default()).await;
        let (one, other) = (Sockets::new(app.clone()), Sockets::new(app.clone()));
        let key = ApiKeyId::new();
        let text = domain::access::key::mint(key).unwrap();
        let (created, digest) = (app.now(), domain::access::key::digest(&text));
        let record =
            ApiKey { id: key, created, name: "a".into(), role: Role::Worker, digest, expiration: None, revoked: None };
        app.store.add_api_key(&record).await.unwrap();
        let (auth, header) = (json!({"type": "auth", "token": text}).to_string(), format!("Bearer {text}"));
        for connection in ["c", "d"] {
            one.connect(connection, Socket::EventsIn, &prefect()).await.unwrap();
            assert_eq!(one.receive(connection, &auth).await, Answer::Reply(handshake::SUCCESS.into()));
        }
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, header.parse().unwrap())]);
        assert_eq!(one.connect("legacy", Socket::EventsIn, &headers).await.unwrap(), Answer::Opened(None));
        for (process, connection) in [(&one, "c"), (&other, "d"), (&other, "legacy")] {
            assert_eq!(process.receive(connection, &event()).await, Answer::Nothing, "{connection}");
        }
        app.store.revoke_api_key(key, app.now()).await.unwrap();
        for (process, connection) in [(&one, "c"), (&other, "d"), (&one, "legacy"), (&one, "c")] {
            assert_eq!(process.receive(connection, &event()).await, Answer::HangUp, "{connection}");
        }
        assert_eq!(events(&app).await, 3);
    }

    #[tokio::test]
    async fn what_is_no_event_or_comes_after_the_farewell_cuts_the_connection() {
        let socket = Sockets::new(app(&Faults::default()).await);
        socket.connect("c", Socket::EventsIn, &prefect()).await.unwrap();
        socket.receive("c", AUTH).await;
        assert_eq!(socket.receive("c", "{}").await, Answer::HangUp);
        socket.disconnect("c").await.unwrap();
        assert_eq!(socket.receive("c", &event()).await, Answer::HangUp);
        socket.disconnect("c").await.unwrap();
    }

    #[tokio::test]
    async fn an_event_that_can_t_be_kept_cuts_the_connection() {
        let faults = Faults::on("PutItem");
        let socket = Sockets::new(app(&faults).await);
        socket.connect("c", Socket::EventsIn, &prefect()).await.unwrap();
        socket.receive("c", AUTH).await;
        for _ in 0..100 {
            faults.then(Fault::Throttled);
        }
        assert_eq!(socket.receive("c", &event()).await, Answer::HangUp);
    }
}
