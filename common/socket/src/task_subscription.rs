//! `/task_runs/subscriptions/scheduled`: what a worker of background tasks says (Prefect's `scheduled_task_subscription`).

use serde_json::{Map, Value};

/// The closing code for what is against the protocol.
pub const PROTOCOL_VIOLATION: u16 = 4001;

/// What a worker asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSubscription {
    /// The keys of its tasks.
    pub keys: Vec<String>,
    /// What it calls itself.
    pub client_id: String,
}

/// Why there is no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection closes with [`PROTOCOL_VIOLATION`] and this reason.
    Closed(&'static str),
    /// The message makes no sense; the connection is dropped without a word, as Prefect drops it.
    Senseless,
}

/// Why a connection closes whose client begins with something else.
pub const EXPECTED_SUBSCRIBE: &str = "Protocol violation: expected 'subscribe' message";

/// Reads the message by which a worker subscribes.
///
/// # Errors
/// How the connection ends.
pub fn read(message: &str) -> Result<TaskSubscription, Refusal> {
    let Ok(message) = serde_json::from_str::<Map<String, Value>>(message) else {
        return Err(Refusal::Senseless);
    };
    if message.get("type").and_then(Value::as_str) != Some("subscribe") {
        return Err(Refusal::Closed(EXPECTED_SUBSCRIBE));
    }
    let expected = "Protocol violation: expected 'keys' in subscribe message";
    let keys = match message.get("keys") {
        None | Some(Value::Null) => return Err(Refusal::Closed(expected)),
        Some(Value::Array(keys)) if keys.is_empty() => return Err(Refusal::Closed(expected)),
        Some(Value::String(text)) if text.is_empty() => return Err(Refusal::Closed(expected)),
        Some(Value::Array(keys)) => keys.iter().map(|key| key.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>(),
        Some(_) => None,
    };
    let keys = keys.ok_or(Refusal::Senseless)?;
    match message.get("client_id") {
        Some(Value::String(client_id)) if !client_id.is_empty() => {
            Ok(TaskSubscription { keys, client_id: client_id.clone() })
        }
        None | Some(Value::Null | Value::String(_)) => {
            Err(Refusal::Closed("Protocol violation: expected 'client_id' in subscribe message"))
        }
        Some(_) => Err(Refusal::Senseless),
    }
}

/// What a worker says of a run that it was handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// It has it.
    Taken,
    /// It leaves, without it.
    Left,
    /// It says something else, which ends the connection.
    Violation,
}

/// Reads what a worker says of a run that it was handed.
pub fn acknowledgement(message: &str) -> Acknowledgement {
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    match message.get("type").and_then(Value::as_str) {
        Some("ack") => Acknowledgement::Taken,
        Some("quit") => Acknowledgement::Left,
        _ => Acknowledgement::Violation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_names_its_tasks_and_itself() {
        let expected = TaskSubscription { keys: vec!["a".into(), "b".into()], client_id: "c".into() };
        assert_eq!(read(r#"{"type": "subscribe", "keys": ["a", "b"], "client_id": "c"}"#), Ok(expected));
        for (message, refusal) in [
            ("[]", Refusal::Senseless),
            ("no json", Refusal::Senseless),
            (r#"{"type": "hello"}"#, Refusal::Closed(EXPECTED_SUBSCRIBE)),
            ("{}", Refusal::Closed(EXPECTED_SUBSCRIBE)),
            (r#"{"type": "subscribe"}"#, Refusal::Closed("Protocol violation: expected 'keys' in subscribe message")),
            (
                r#"{"type": "subscribe", "keys": []}"#,
                Refusal::Closed("Protocol violation: expected 'keys' in subscribe message"),
            ),
            (r#"{"type": "subscribe", "keys": [1], "client_id": "c"}"#, Refusal::Senseless),
            (
                r#"{"type": "subscribe", "keys": ["a"]}"#,
                Refusal::Closed("Protocol violation: expected 'client_id' in subscribe message"),
            ),
        ] {
            assert_eq!(read(message), Err(refusal), "{message}");
        }
    }

    #[test]
    fn a_run_is_taken_or_goes_back() {
        assert_eq!(acknowledgement(r#"{"type": "ack"}"#), Acknowledgement::Taken);
        assert_eq!(acknowledgement(r#"{"type": "quit"}"#), Acknowledgement::Left);
        for message in ["", "[]", "{}", r#"{"type": null}"#, r#"{"type": "nack"}"#] {
            assert_eq!(acknowledgement(message), Acknowledgement::Violation, "{message}");
        }
    }
}
