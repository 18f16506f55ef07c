//! `/events/in` behind an API Gateway websocket: each connection, message and farewell is an invocation of its own.
//!
//! The gateway answers pings by itself, and the client takes a pong for the confirmation that everything before its
//! ping is safe. So an event is durable before its invocation ends, and a connection whose event can't be kept is cut:
//! what the client has no pong for by then, it sends again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use http::HeaderMap;
use serde_json::json;

use super::{
    events_in,
    handshake::{self, Authentication, Opening},
};
use domain::{
    access::Role,
    model::{ApiKeyId, Connection},
};
use error::Result;
use services::App;

/// What sending events needs, as the operation that takes them over HTTP does.
const REQUIRED: Role = Role::Worker;

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

/// The websocket as functions see it; a process has one.
#[derive(Debug)]
pub struct EventsIn {
    app: App,
    /// The connections whose clients have authenticated, with the keys that they have shown.
    authenticated: Mutex<HashMap<String, Option<ApiKeyId>>>,
}

impl EventsIn {
    /// Puts together the websocket over `api`.
    pub fn new(app: App) -> Self {
        Self { app, authenticated: Mutex::default() }
    }

    /// Decides on a request for a connection, and notes the connection.
    ///
    /// # Errors
    /// [`error::Error::Unavailable`] if the table can't be reached.
    pub async fn connect(&self, id: &str, headers: &HeaderMap) -> Result<Answer> {
        let (caller, subprotocol) = match handshake::open(&self.app, headers, REQUIRED).await? {
            Opening::Refused => return Ok(Answer::Refused),
            Opening::Legacy(caller) => (Some(caller), None),
            Opening::Handshake => (None, Some(handshake::SUBPROTOCOL)),
        };
        let (is_authenticated, key) = (caller.is_some(), caller.and_then(|caller| caller.key));
        let connection = Connection { id: id.to_owned(), opened: self.app.now(), is_authenticated, key };
        self.app.store.add_connection(&connection).await?;
        Ok(Answer::Opened(subprotocol))
    }

    /// Takes a message of the connection `id`: its client's credentials, or an event, which is durable at the return.
    pub async fn receive(&self, id: &str, message: &str) -> Answer {
        match self.take(id, message).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(%error, "a websocket is cut, because its message can't be kept");
                Answer::HangUp
            }
        }
    }

    /// Forgets the connection `id`.
    ///
    /// # Errors
    /// [`error::Error::Unavailable`] if the table can't be reached; the record expires by itself.
    pub async fn disconnect(&self, id: &str) -> Result<()> {
        self.authenticated.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.app.store.delete_connection(id).await
    }

    async fn take(&self, id: &str, message: &str) -> Result<Answer> {
        let key = if let Some(key) = self.recall(id) {
            key
        } else {
            let Some(connection) = self.app.store.connection(id).await? else { return Ok(Answer::HangUp) };
            if !connection.record.is_authenticated {
                return match handshake::authenticate(&self.app, message, REQUIRED).await? {
                    Authentication::Accepted(caller) => {
                        self.app.store.let_in(connection, caller.key).await?;
                        self.remember(id, caller.key);
                        Ok(Answer::Reply(handshake::SUCCESS.to_owned()))
                    }
                    Authentication::Rejected(reason) => {
                        // Without its record, whatever else the connection brings cuts it.
                        self.app.store.delete_connection(id).await?;
                        Ok(Answer::Reply(json!({ "type": "auth_failure", "reason": reason }).to_string()))
                    }
                    Authentication::Senseless => Ok(Answer::HangUp),
                };
            }
            self.remember(id, connection.record.key);
            connection.record.key
        };
        if !handshake::may_go_on(&self.app, key, REQUIRED).await? {
            self.app.store.delete_connection(id).await?;
            return Ok(Answer::HangUp);
        }
        let Some(event) = events_in::event(message) else { return Ok(Answer::HangUp) };
        events_in::keep(&self.app, vec![event]).await?;
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

#[cfg(test)]
mod tests {
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
        let (one, other) = (EventsIn::new(app.clone()), EventsIn::new(app.clone()));
        assert_eq!(one.connect("c", &prefect()).await.unwrap(), Answer::Opened(Some("prefect")));
        assert_eq!(other.receive("c", AUTH).await, Answer::Reply(handshake::SUCCESS.into()));
        let twice = event();
        for (process, message) in [(&one, twice.clone()), (&other, event()), (&one, twice)] {
            assert_eq!(process.receive("c", &message).await, Answer::Nothing);
        }
        assert_eq!(events(&app).await, 2);
    }

    #[tokio::test]
    async fn who_has_not_shown_the_password_is_not_listened_to() {
        let socket = EventsIn::new(app(&Faults::default()).await);
        assert_eq!(socket.connect("old", &HeaderMap::new()).await.unwrap(), Answer::Refused);
        assert_eq!(socket.receive("unknown", &event()).await, Answer::HangUp);
        socket.connect("c", &prefect()).await.unwrap();
        let failure = r#"{"type":"auth_failure","reason":"Invalid token"}"#;
        assert_eq!(socket.receive("c", r#"{"type":"auth","token":"wrong"}"#).await, Answer::Reply(failure.into()));
        assert_eq!(socket.receive("c", AUTH).await, Answer::HangUp);
        socket.connect("d", &prefect()).await.unwrap();
        assert!(matches!(socket.receive("d", &event()).await, Answer::Reply(reply) if reply.contains("auth_failure")));
        assert_eq!(events(&socket.app).await, 0);
    }

    #[tokio::test]
    async fn a_client_whose_key_is_revoked_is_not_listened_to_whichever_process_it_is_in() {
        let settings = Settings { access: Mode::Keys, key_memory: 0.0, ..Settings::default() };
        let app = app_with(settings, &Faults::default()).await;
        let (one, other) = (EventsIn::new(app.clone()), EventsIn::new(app.clone()));
        let key = ApiKeyId::new();
        let text = domain::access::key::mint(key).unwrap();
        let (created, digest) = (app.now(), domain::access::key::digest(&text));
        let record =
            ApiKey { id: key, created, name: "a".into(), role: REQUIRED, digest, expiration: None, revoked: None };
        app.store.add_api_key(&record).await.unwrap();
        let (auth, header) = (json!({"type": "auth", "token": text}).to_string(), format!("Bearer {text}"));
        for connection in ["c", "d"] {
            one.connect(connection, &prefect()).await.unwrap();
            assert_eq!(one.receive(connection, &auth).await, Answer::Reply(handshake::SUCCESS.into()));
        }
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, header.parse().unwrap())]);
        assert_eq!(one.connect("legacy", &headers).await.unwrap(), Answer::Opened(None));
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
        let socket = EventsIn::new(app(&Faults::default()).await);
        socket.connect("c", &prefect()).await.unwrap();
        socket.receive("c", AUTH).await;
        assert_eq!(socket.receive("c", "{}").await, Answer::HangUp);
        socket.disconnect("c").await.unwrap();
        assert_eq!(socket.receive("c", &event()).await, Answer::HangUp);
        socket.disconnect("c").await.unwrap();
    }

    #[tokio::test]
    async fn an_event_that_can_t_be_kept_cuts_the_connection() {
        let faults = Faults::on("PutItem");
        let socket = EventsIn::new(app(&faults).await);
        socket.connect("c", &prefect()).await.unwrap();
        socket.receive("c", AUTH).await;
        for _ in 0..100 {
            faults.then(Fault::Throttled);
        }
        assert_eq!(socket.receive("c", &event()).await, Answer::HangUp);
    }
}
