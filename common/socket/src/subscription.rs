//! The first message on `/events/out` and `/logs/out`: what the client wants to be told of.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use contract::{self, Operation};

/// The closing code for a breach of the protocol (RFC 6455, 7.4.1).
pub const PROTOCOL_ERROR: u16 = 1002;

/// The closing code for a client that has to come again (IANA's registry of close codes, "Try Again Later").
pub const TRY_AGAIN_LATER: u16 = 1013;

/// Why a connection closes whose client does not say what it wants.
pub const EXPECTED_FILTER: &str = "Expected 'filter' message";

/// Why a connection closes whose client does not read as fast as things happen.
pub const FELL_BEHIND: &str = "The client fell behind; what it missed is sent again when it connects anew";

/// How many bytes the reason of a close frame has at most (RFC 6455, 5.5).
const LONGEST_REASON: usize = 123;

/// What clients subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Events, filtered as by `POST /events/filter`.
    Events,
    /// Log lines, filtered as by `POST /logs/filter`.
    Logs,
}

impl Topic {
    /// Returns the operation that takes such a filter, and its name in the operation's body.
    fn filter(self) -> (&'static str, &'static str) {
        match self {
            Self::Events => ("/events/filter", "filter"),
            Self::Logs => ("/logs/filter", "logs"),
        }
    }
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish<F> {
    /// What it wants to be told of.
    pub filter: F,
    /// Whether it wants to be told of what has just happened too.
    pub backfill: bool,
}

/// Why there is no subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection closes with [`PROTOCOL_ERROR`] and this reason.
    Closed(Cow<'static, str>),
    /// The message makes no sense; the connection is dropped without a word, as Prefect drops it.
    Senseless,
}

/// Reads the message that says what to be told of.
///
/// # Errors
/// How the connection ends. Prefect's server gives no reason where its own is longer than a close frame takes, which is so
/// for nearly every filter that is wrong; here it is cut.
pub fn read<F: DeserializeOwned>(topic: Topic, message: &str) -> Result<Wish<F>, Refusal> {
    let Ok(mut message) = serde_json::from_str::<Map<String, Value>>(message) else {
        return Err(Refusal::Senseless);
    };
    match message.get("type") {
        None => return Err(Refusal::Senseless),
        Some(kind) if kind != "filter" => return Err(Refusal::Closed(EXPECTED_FILTER.into())),
        Some(_) => {}
    }
    let backfill = message.get("backfill").is_none_or(is_true);
    let Some(filter) = message.remove("filter") else { return Err(refused("'filter'")) };
    if !filter.is_object() {
        return Err(refused("it is no object"));
    }
    Ok(Wish { filter: validated(topic, &filter)?, backfill })
}

fn validated<F: DeserializeOwned>(topic: Topic, filter: &Value) -> Result<F, Refusal> {
    let (path, name) = topic.filter();
    let operation = Operation::find("POST", path).ok_or(Refusal::Senseless)?;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let body = json!({ name: filter }).to_string();
    let request = contract::Request { path: &[], query: "", headers: &headers, body: body.as_bytes() };
    let mut validated =
        operation.validate(&request).map_err(|rejection| refused(&fault(&rejection.into_answer().1)))?;
    serde_json::from_value(validated.body[name].take()).map_err(|error| refused(&error.to_string()))
}

/// Says what is wrong first.
fn fault(answer: &Value) -> String {
    let Some(first) = answer["exception_detail"].get(0) else {
        return answer["detail"].as_str().unwrap_or("it can't be read").to_owned();
    };
    let parts: Vec<String> = first["loc"]
        .as_array()
        .map(|parts| parts.iter().skip(2).map(|part| part.as_str().map_or(part.to_string(), str::to_owned)).collect())
        .unwrap_or_default();
    format!("{}: {}", parts.join("."), first["msg"].as_str().unwrap_or_default())
}

fn refused(why: &str) -> Refusal {
    let mut reason = format!("Invalid filter: {why}");
    reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
    Refusal::Closed(reason.into())
}

/// Says what Python takes for true.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::filter::{EventFilter, LogFilter};

    fn events(message: &Value) -> Result<Wish<EventFilter>, Refusal> {
        read(Topic::Events, &message.to_string())
    }

    #[test]
    fn a_filter_and_whether_to_look_back() {
        let wish = events(&json!({"type": "filter", "filter": {"event": {"prefix": ["a."]}}})).unwrap();
        assert_eq!((wish.filter.event.unwrap().prefix.unwrap(), wish.backfill), (vec!["a.".to_owned()], true));
        for (backfill, expected) in [(json!("no"), true), (json!(null), false), (json!(0), false), (json!([]), false)] {
            let message = json!({"type": "filter", "filter": {}, "backfill": backfill});
            assert_eq!(events(&message).unwrap().backfill, expected, "{message}");
        }
        let logs: Wish<LogFilter> =
            read(Topic::Logs, r#"{"type": "filter", "filter": {"level": {"ge_": 20}}}"#).unwrap();
        assert_eq!(logs.filter.level.unwrap().ge, Some(20));
    }

    #[test]
    fn what_makes_no_sense_is_dropped_and_what_is_wrong_is_said_within_a_frame() {
        for message in [json!([]), json!(5), json!({})] {
            assert_eq!(events(&message), Err(Refusal::Senseless), "{message}");
        }
        assert_eq!(events(&json!({"type": "hello"})), Err(Refusal::Closed(EXPECTED_FILTER.into())));
        assert_eq!(events(&json!({"type": "filter"})), Err(Refusal::Closed("Invalid filter: 'filter'".into())));
        let long = "ü".repeat(200);
        for filter in [json!(null), json!([]), json!({ long: 1 }), json!({"occurred": {"since": "x"}})] {
            let Err(Refusal::Closed(reason)) = events(&json!({"type": "filter", "filter": filter})) else {
                unreachable!("{filter} is no filter");
            };
            assert!(reason.starts_with("Invalid filter: ") && reason.len() <= LONGEST_REASON, "{reason}");
        }
        let unknown = events(&json!({"type": "filter", "filter": {"unknown": 1}}));
        assert_eq!(unknown, Err(Refusal::Closed("Invalid filter: unknown: Extra inputs are not permitted".into())));
    }
}
