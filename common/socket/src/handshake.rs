//! How a websocket opens and its client authenticates (Prefect's `accept_prefect_socket`).
//!
//! A client that offers the subprotocol `prefect` sends an `auth` message first, also where no password is set. One
//! that does not is of an older version: it is let in without a word, unless there is a password, or keys and it shows
//! none in the request.

use std::time::Duration;

use http::{
    HeaderMap,
    header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL},
};
use serde_json::{Map, Value};

use access::Caller;
use domain::{
    access::{Mode, Role},
    model::ApiKeyId,
};
use error::{Error, Result};
use services::App;

/// The subprotocol of clients that authenticate by message.
pub const SUBPROTOCOL: &str = "prefect";

/// The answer to an `auth` message that is accepted.
pub const SUCCESS: &str = r#"{"type":"auth_success"}"#;

/// The closing code for a breach of policy (RFC 6455, 7.4.1).
pub const POLICY_VIOLATION: u16 = 1008;

/// Why a connection closes whose client shows a password or key that doesn't do, or no longer does.
pub const INVALID_TOKEN: &str = "Invalid token";

/// Why a connection closes whose client shows a key of too low a role.
pub const NOT_ALLOWED: &str = "The API key's role does not allow this";

/// Why a connection closes whose client does not begin with an `auth` message.
pub const EXPECTED_AUTH: &str = "Expected 'auth' message";

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With the subprotocol, and an `auth` message to come.
    Handshake,
    /// Without either, for this caller.
    Legacy(Caller),
    /// Not at all: the request is answered with 403.
    Refused,
}

/// Decides on a request for a websocket that needs the role `required`, where there are roles.
///
/// # Errors
/// [`Error::Unavailable`] if a key can't be looked up.
pub async fn open(app: &App, headers: &HeaderMap, required: Role) -> Result<Opening> {
    let offered = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == SUBPROTOCOL);
    if offered {
        return Ok(Opening::Handshake);
    }
    let caller = match &app.settings.access {
        Mode::Open => Some(Caller::ANYONE),
        Mode::Basic(_) => None,
        // A client that takes us for Prefect Cloud authenticates in the request, and not in a message.
        Mode::Keys => {
            let header = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
            patiently(|| app.gate().caller_of_header(header)).await?.filter(|caller| caller.role >= required)
        }
    };
    Ok(caller.map_or(Opening::Refused, Opening::Legacy))
}

/// Says whether a client that was let in with `key` may go on with what needs the role `required`.
///
/// A connection lives for hours, and a key may be revoked or expire meanwhile. Costs a read of the table only as often
/// as a request with the key does.
///
/// # Errors
/// [`Error::Unavailable`] if the key can't be looked up.
pub async fn may_go_on(app: &App, key: Option<ApiKeyId>, required: Role) -> Result<bool> {
    Ok(caller(app, key, required).await?.is_some())
}

/// Returns who a client is by now that was let in with `key`; none if it may not go on with what needs the role
/// `required`.
///
/// # Errors [`Error::Unavailable`] if the key can't be looked up.
pub async fn caller(app: &App, key: Option<ApiKeyId>, required: Role) -> Result<Option<Caller>> {
    match (&app.settings.access, key) {
        (Mode::Open | Mode::Basic(_), _) => Ok(Some(Caller::ANYONE)),
        // It was let in when the server asked for something else.
        (Mode::Keys, None) => Ok(None),
        (Mode::Keys, Some(key)) => {
            let caller = patiently(|| app.gate().caller_of_id(key)).await?;
            Ok(caller.filter(|caller| caller.role >= required))
        }
    }
}

/// What follows from the first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The client is in as this caller, and told so with [`SUCCESS`].
    Accepted(Caller),
    /// The connection closes with [`POLICY_VIOLATION`] and this reason.
    Rejected(&'static str),
    /// The message makes no sense; the connection is dropped without a word, as Prefect drops it.
    Senseless,
}

/// Judges the first message of a client on a websocket that needs the role `required`, where there are roles.
///
/// # Errors
/// [`Error::Unavailable`] if a key can't be looked up; the connection is to be dropped.
pub async fn authenticate(app: &App, message: &str, required: Role) -> Result<Authentication> {
    let token = match presented(message) {
        Ok(token) => token,
        Err(verdict) => return Ok(verdict),
    };
    let token = match (&app.settings.access, token) {
        (Mode::Open, _) => return Ok(Authentication::Accepted(Caller::ANYONE)),
        (_, Err(verdict)) => return Ok(verdict),
        (Mode::Basic(password), Ok(token)) if !token.is_ascii() || password.is_beyond_ascii() => {
            // Prefect's comparison takes ASCII only.
            return Ok(Authentication::Senseless);
        }
        (_, Ok(token)) => token,
    };
    Ok(match patiently(|| app.gate().caller_of_token(&token)).await? {
        Some(caller) if caller.role >= required => Authentication::Accepted(caller),
        Some(_) => Authentication::Rejected(NOT_ALLOWED),
        None => Authentication::Rejected(INVALID_TOKEN),
    })
}

/// Reads an `auth` message; the outer error is that it is none, the inner one that it lacks a token.
fn presented(message: &str) -> Result<Result<String, Authentication>, Authentication> {
    let Ok(message) = serde_json::from_str::<Map<String, Value>>(message) else {
        return Err(Authentication::Senseless);
    };
    if message.get("type").and_then(Value::as_str) != Some("auth") {
        return Err(Authentication::Rejected(EXPECTED_AUTH));
    }
    Ok(match message.get("token") {
        Some(Value::String(token)) if !token.is_empty() => Ok(token.clone()),
        Some(Value::Bool(true)) => Err(Authentication::Senseless),
        Some(Value::Number(number)) if number.as_f64() != Some(0.0) => Err(Authentication::Senseless),
        Some(Value::Array(items)) if !items.is_empty() => Err(Authentication::Senseless),
        Some(Value::Object(fields)) if !fields.is_empty() => Err(Authentication::Senseless),
        _ => Err(Authentication::Rejected("Auth required but no token provided")),
    })
}

/// How often a key is looked up while the store is unavailable.
const ATTEMPTS: u32 = 6;

/// Tries again while the store is unavailable: a client whose handshake fails gives its events up for good.
async fn patiently<Attempt: Future<Output = Result<Option<Caller>>>>(
    attempt: impl Fn() -> Attempt,
) -> Result<Option<Caller>> {
    for repeat in 1..ATTEMPTS {
        match attempt().await {
            Err(Error::Unavailable(message)) => {
                tracing::warn!(message, "a handshake waits for the store");
                tokio::time::sleep(Duration::from_millis(25 << repeat)).await;
            }
            outcome => return outcome,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use embedded::{
        EmbeddedDatabase,
        faults::{Fault, Faults},
    };

    use super::*;
    use domain::{
        access::{Password, Secret, key},
        model::{ApiKey, ApiKeyId},
    };
    use settings::Settings;
    use store::Store;

    async fn app(access: Mode, faults: &Faults) -> App {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
        let settings = Settings { access, ..Settings::default() };
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), &settings.table, settings.shards);
        store.create_table().await.unwrap();
        App::new(store, settings)
    }

    const ANYONE: Authentication = Authentication::Accepted(Caller::ANYONE);

    fn accepted(worker: &str) -> Authentication {
        Authentication::Accepted(Caller { role: Role::Worker, key: key::id(worker) })
    }

    async fn with_password() -> App {
        app(Mode::Basic(Password::Given(Secret("secret".into()))), &Faults::default()).await
    }

    async fn key_of(app: &App, role: Role) -> String {
        let id = ApiKeyId::new();
        let text = key::mint(id).unwrap();
        let (created, digest) = (app.now(), key::digest(&text));
        let record = ApiKey { id, created, name: "test".into(), role, digest, expiration: None, revoked: None };
        app.store.add_api_key(&record).await.unwrap();
        text
    }

    fn offering(protocols: &[&str]) -> HeaderMap {
        protocols.iter().map(|value| (SEC_WEBSOCKET_PROTOCOL, value.parse().unwrap())).collect()
    }

    async fn opening(app: &App, headers: &HeaderMap) -> Opening {
        open(app, headers, Role::Worker).await.unwrap()
    }

    #[tokio::test]
    async fn clients_without_the_subprotocol_are_let_in_unless_there_is_a_password() {
        let (unguarded, guarded) = (app(Mode::Open, &Faults::default()).await, with_password().await);
        assert_eq!(opening(&guarded, &offering(&["other, prefect"])).await, Opening::Handshake);
        assert_eq!(opening(&unguarded, &offering(&["other", "prefect"])).await, Opening::Handshake);
        assert_eq!(opening(&unguarded, &offering(&["prefect-2"])).await, Opening::Legacy(Caller::ANYONE));
        assert_eq!(opening(&guarded, &offering(&[])).await, Opening::Refused);
    }

    #[tokio::test]
    async fn clients_without_the_subprotocol_may_show_a_key_in_the_request() {
        let app = app(Mode::Keys, &Faults::default()).await;
        for (role, expected) in [(Role::ReadOnly, false), (Role::Worker, true)] {
            let mut headers = offering(&[]);
            let text = key_of(&app, role).await;
            headers.insert(AUTHORIZATION, format!("bearer {text}").parse().unwrap());
            let caller = Caller { role, key: key::id(&text) };
            let expected = if expected { Opening::Legacy(caller) } else { Opening::Refused };
            assert_eq!(opening(&app, &headers).await, expected, "{role}");
        }
        assert_eq!(opening(&app, &offering(&[])).await, Opening::Refused);
    }

    async fn check(app: &App, table: &[(&str, Authentication)]) {
        for (message, expected) in table {
            assert_eq!(authenticate(app, message, Role::Worker).await.unwrap(), *expected, "{message}");
        }
    }

    #[tokio::test]
    async fn any_auth_message_will_do_where_there_is_no_password() {
        let table = [
            (r#"{"type":"auth","token":null}"#, ANYONE),
            (r#"{"type":"auth","token":5}"#, ANYONE),
            (r#"{"type":"auth"}"#, ANYONE),
            (r#"{"type":"hello"}"#, Authentication::Rejected("Expected 'auth' message")),
            ("{}", Authentication::Rejected("Expected 'auth' message")),
            ("[]", Authentication::Senseless),
            ("not json", Authentication::Senseless),
        ];
        check(&app(Mode::Open, &Faults::default()).await, &table).await;
    }

    #[tokio::test]
    async fn the_token_is_the_password() {
        let missing = Authentication::Rejected("Auth required but no token provided");
        let table = [
            (r#"{"type":"auth","token":"secret"}"#, ANYONE),
            (r#"{"type":"auth","token":"wrong"}"#, Authentication::Rejected("Invalid token")),
            (r#"{"type":"auth","token":""}"#, missing),
            (r#"{"type":"auth","token":null}"#, missing),
            (r#"{"type":"auth","token":0}"#, missing),
            (r#"{"type":"auth"}"#, missing),
            (r#"{"type":"auth","token":5}"#, Authentication::Senseless),
            (r#"{"type":"auth","token":"ü"}"#, Authentication::Senseless),
        ];
        check(&with_password().await, &table).await;
    }

    #[tokio::test]
    async fn the_token_is_a_key_of_a_role_that_may() {
        let app = app(Mode::Keys, &Faults::default()).await;
        let (worker, reader) = (key_of(&app, Role::Worker).await, key_of(&app, Role::ReadOnly).await);
        let message = |token: &str| serde_json::json!({"type": "auth", "token": token}).to_string();
        let table = [
            (&*message(&worker), accepted(&worker)),
            (&*message(&format!("anyone:{worker}")), accepted(&worker)),
            (&*message(&reader), Authentication::Rejected("The API key's role does not allow this")),
            (&*message(&worker.replace(char::is_numeric, "f")), Authentication::Rejected("Invalid token")),
            (&*message("secret"), Authentication::Rejected("Invalid token")),
            (r#"{"type":"auth","token":null}"#, Authentication::Rejected("Auth required but no token provided")),
        ];
        check(&app, &table).await;
    }

    #[tokio::test]
    async fn a_handshake_outlasts_a_store_that_fails() {
        let faults = Faults::on("GetItem");
        let app = app(Mode::Keys, &faults).await;
        let worker = key_of(&app, Role::Worker).await;
        let message = serde_json::json!({"type": "auth", "token": worker}).to_string();
        // More failures in a row than the SDK bears by itself.
        for _ in 0..5 {
            faults.then(Fault::InternalError);
        }
        check(&app, &[(&message, accepted(&worker))]).await;
        assert_eq!(faults.left(), 0);
    }

    #[tokio::test]
    async fn a_client_goes_on_until_its_key_is_over() {
        let mut app = app(Mode::Keys, &Faults::default()).await;
        app.settings = Settings { key_memory: 0.0, ..(*app.settings).clone() }.into();
        let (worker, reader) = (key_of(&app, Role::Worker).await, key_of(&app, Role::ReadOnly).await);
        let goes_on = async |text: &str| may_go_on(&app, key::id(text), Role::Worker).await.unwrap();
        assert_eq!((goes_on(&worker).await, goes_on(&reader).await, goes_on("none").await), (true, false, false));
        app.store.revoke_api_key(key::id(&worker).unwrap(), app.now()).await.unwrap();
        assert!(!goes_on(&worker).await);
    }
}
