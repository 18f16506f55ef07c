//! How a websocket opens and its client authenticates (upstream's `accept_prefect_socket`).
//!
//! A client that offers the subprotocol `prefect` sends an `auth` message first, also where no password is set. One
//! that does not is of an older version: it is let in without a word, unless there is a password.

use http::{HeaderMap, header::SEC_WEBSOCKET_PROTOCOL};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

/// The subprotocol of clients that authenticate by message.
pub const SUBPROTOCOL: &str = "prefect";

/// The answer to an `auth` message that is accepted.
pub const SUCCESS: &str = r#"{"type":"auth_success"}"#;

/// The closing code for a breach of policy (RFC 6455, 7.4.1).
pub const POLICY_VIOLATION: u16 = 1008;

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With the subprotocol, and an `auth` message to come.
    Handshake,
    /// Without either.
    Legacy,
    /// Not at all: the request is answered with 403.
    Refused,
}

/// Decides on a request for a websocket, where `password` is what clients have to know, if anything.
pub fn open(headers: &HeaderMap, password: Option<&str>) -> Opening {
    let offered = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == SUBPROTOCOL);
    match (offered, password) {
        (true, _) => Opening::Handshake,
        (false, None) => Opening::Legacy,
        (false, Some(_)) => Opening::Refused,
    }
}

/// What follows from the first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The client is in, and told so with [`SUCCESS`].
    Accepted,
    /// The connection closes with [`POLICY_VIOLATION`] and this reason.
    Rejected(&'static str),
    /// The message makes no sense; the connection is dropped without a word, as upstream drops it.
    Senseless,
}

/// Judges the first message of a client, where `password` is what it has to know, if anything.
pub fn authenticate(message: &str, password: Option<&str>) -> Authentication {
    let Ok(message) = serde_json::from_str::<Map<String, Value>>(message) else { return Authentication::Senseless };
    if message.get("type").and_then(Value::as_str) != Some("auth") {
        return Authentication::Rejected("Expected 'auth' message");
    }
    let Some(password) = password else { return Authentication::Accepted };
    match message.get("token") {
        Some(Value::String(token)) if !token.is_empty() => {
            if !token.is_ascii() || !password.is_ascii() {
                // Upstream's comparison takes ASCII only.
                Authentication::Senseless
            } else if token.as_bytes().ct_eq(password.as_bytes()).into() {
                Authentication::Accepted
            } else {
                Authentication::Rejected("Invalid token")
            }
        }
        Some(Value::Bool(true)) => Authentication::Senseless,
        Some(Value::Number(number)) if number.as_f64() != Some(0.0) => Authentication::Senseless,
        Some(Value::Array(items)) if !items.is_empty() => Authentication::Senseless,
        Some(Value::Object(fields)) if !fields.is_empty() => Authentication::Senseless,
        _ => Authentication::Rejected("Auth required but no token provided"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(protocols: &[&str]) -> HeaderMap {
        protocols.iter().map(|value| (SEC_WEBSOCKET_PROTOCOL, value.parse().unwrap())).collect()
    }

    #[test]
    fn clients_without_the_subprotocol_are_let_in_unless_there_is_a_password() {
        assert_eq!(open(&offering(&["other, prefect"]), Some("secret")), Opening::Handshake);
        assert_eq!(open(&offering(&["other", "prefect"]), None), Opening::Handshake);
        assert_eq!(open(&offering(&["prefect-2"]), None), Opening::Legacy);
        assert_eq!(open(&offering(&[]), Some("secret")), Opening::Refused);
    }

    #[test]
    fn any_auth_message_will_do_where_there_is_no_password() {
        let table = [
            (r#"{"type":"auth","token":null}"#, Authentication::Accepted),
            (r#"{"type":"auth"}"#, Authentication::Accepted),
            (r#"{"type":"hello"}"#, Authentication::Rejected("Expected 'auth' message")),
            ("{}", Authentication::Rejected("Expected 'auth' message")),
            ("[]", Authentication::Senseless),
            ("not json", Authentication::Senseless),
        ];
        for (message, expected) in table {
            assert_eq!(authenticate(message, None), expected, "{message}");
        }
    }

    #[test]
    fn the_token_is_the_password() {
        let missing = Authentication::Rejected("Auth required but no token provided");
        let table = [
            (r#"{"type":"auth","token":"secret"}"#, Authentication::Accepted),
            (r#"{"type":"auth","token":"wrong"}"#, Authentication::Rejected("Invalid token")),
            (r#"{"type":"auth","token":""}"#, missing),
            (r#"{"type":"auth","token":null}"#, missing),
            (r#"{"type":"auth","token":0}"#, missing),
            (r#"{"type":"auth"}"#, missing),
            (r#"{"type":"auth","token":5}"#, Authentication::Senseless),
            (r#"{"type":"auth","token":"ü"}"#, Authentication::Senseless),
        ];
        for (message, expected) in table {
            assert_eq!(authenticate(message, Some("secret")), expected, "{message}");
        }
    }
}
