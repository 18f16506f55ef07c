//! The frames of the channel: those of workers as they are read, those of the server as they are written.

use contract::Message;
use domain::{
    json,
    model::{CleanupKind, CleanupMessage, CleanupMessageId, Object, Timestamp},
};
use serde::Deserialize;
use serde_json::{Value, json};
use services::cleanups::{Operation, Outcome};
use uuid::Uuid;

/// The version of the protocol that is spoken.
pub(super) const VERSION: &str = "work_pool_worker_channel.v1";

/// What a worker has to ask for.
pub(super) const REQUIRED: [&str; 2] = ["worker_heartbeat.v1", "work_pool_snapshot.v1"];

/// What a worker asks for that is to be asked to clean up.
pub(super) const CLEANUP_DELIVERY: &str = "cleanup_delivery.v1";

/// A frame of a worker.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Frame {
    /// Its first.
    Hello(Box<Hello>),
    /// It is there.
    Heartbeat(WorkerHeartbeat),
    /// It does something with a cleanup.
    Cleanup(CleanupOperation),
}

/// What a worker says of itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Hello {
    /// Its process, over all its connections.
    pub(super) consumer_id: Uuid,
    pub(super) worker_name: String,
    pub(super) worker_type: String,
    pub(super) heartbeat_interval_seconds: i64,
    pub(super) supported_channel_versions: Vec<String>,
    pub(super) requested_capabilities: Vec<String>,
    pub(super) work_queue_names: Vec<String>,
    pub(super) handled_cleanup_kinds: Vec<CleanupKind>,
    pub(super) max_cleanup_concurrency: i64,
    pub(super) create_pool_if_not_found: bool,
    pub(super) default_base_job_template: Object,
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct WorkerHeartbeat {
    pub(super) consumer_id: Uuid,
    pub(super) worker_name: String,
    pub(super) heartbeat_interval_seconds: i64,
}

/// What a worker does with a cleanup that it was delivered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CleanupOperation {
    /// The frame that says so, to which the result refers.
    pub(super) frame: Uuid,
    pub(super) message: CleanupMessageId,
    pub(super) token: String,
    pub(super) operation: Operation,
}

#[derive(Deserialize)]
struct OperationPayload {
    message_id: CleanupMessageId,
    reservation_token: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Envelope {
    id: Uuid,
    r#type: String,
}

impl Frame {
    /// Reads a frame; none if it is against the protocol, be it one that only servers send.
    pub(super) fn read(text: &str) -> Option<Self> {
        let kind = json::parse(text.as_bytes()).ok()?.get("type")?.as_str()?.to_owned();
        let validated = Message::find(&kind)?.validate(text).ok()?;
        let has_concurrency = validated.sent()["payload"].get("max_cleanup_concurrency").is_some();
        let mut body = validated.body;
        let payload = body["payload"].take();
        let envelope: Envelope = serde_json::from_value(body).ok()?;
        Some(match envelope.r#type.as_str() {
            "worker.hello.v1" => Self::Hello(Box::new(Hello::read(payload, has_concurrency)?)),
            "worker.heartbeat.v1" => Self::Heartbeat(serde_json::from_value(payload).ok()?),
            kind => {
                let payload: OperationPayload = serde_json::from_value(payload).ok()?;
                let operation = match kind {
                    "cleanup.ack.v1" => Operation::Acknowledge,
                    "cleanup.renew.v1" => Operation::Renew,
                    _ => Operation::Release(payload.reason),
                };
                let (message, token) = (payload.message_id, payload.reservation_token);
                Self::Cleanup(CleanupOperation { frame: envelope.id, message, token, operation })
            }
        })
    }
}

impl Hello {
    fn read(payload: Value, has_concurrency: bool) -> Option<Self> {
        let mut hello: Self = serde_json::from_value(payload).ok()?;
        let asks_for_cleanups = hello.requests(CLEANUP_DELIVERY);
        if !has_concurrency && asks_for_cleanups && !hello.handled_cleanup_kinds.is_empty() {
            hello.max_cleanup_concurrency = 1;
        }
        let names_cleanups = !hello.handled_cleanup_kinds.is_empty() || hello.max_cleanup_concurrency != 0;
        let is_consistent = REQUIRED.iter().all(|required| hello.requests(required));
        (is_consistent && (asks_for_cleanups || !names_cleanups)).then_some(hello)
    }

    pub(super) fn requests(&self, capability: &str) -> bool {
        self.requested_capabilities.iter().any(|requested| requested == capability)
    }

    /// Tells whether the worker can be asked to clean up.
    pub(super) fn cleans_up(&self) -> bool {
        self.requests(CLEANUP_DELIVERY) && !self.handled_cleanup_kinds.is_empty() && self.max_cleanup_concurrency > 0
    }
}

/// Writes a frame of the server's.
pub(super) fn write(kind: &str, payload: &Value, now: Timestamp) -> serde_json::Result<String> {
    json::to_string(&json!({ "type": kind, "id": Uuid::now_v7(), "sent_at": now, "payload": payload }))
}

/// Returns the payload that asks a worker for a cleanup, which is reserved for it.
pub(super) fn cleanup(message: &CleanupMessage) -> Value {
    let reservation = message.reservation.as_ref();
    json!({
        "message_id": message.id,
        "kind": message.kind,
        "reservation_token": reservation.map(|reservation| &reservation.token),
        "lease_expires_at": reservation.map(|reservation| reservation.lease_expires),
        "delivery_count": message.delivery_count,
        "work_queue_id": message.work_queue_id,
        "target": message.target,
        "data": {},
    })
}

/// Returns the payload that says what became of an operation; without an outcome, that it failed here.
pub(super) fn operation_result(of: &CleanupOperation, outcome: Result<Outcome, Refused>) -> Value {
    let (status, reason, lease_expires) = match outcome {
        Ok(Outcome::Accepted(lease_expires)) => ("accepted", None, lease_expires),
        Ok(Outcome::NotFound) => ("not_found", Some("message_not_found"), None),
        Ok(Outcome::NotReserved) => ("not_current", Some("no_active_reservation"), None),
        Ok(Outcome::OtherToken) => ("invalid_token", Some("reservation_token_mismatch"), None),
        Ok(Outcome::Expired) => ("expired", Some("lease_expired"), None),
        Ok(Outcome::DeadLettered) => ("dead_lettered", Some("max_delivery_attempts_reached"), None),
        Err(Refused::NotAccepted) => ("unauthorized", Some("cleanup_delivery_not_accepted"), None),
        Err(Refused::Failed) => ("error", Some("cleanup_queue_operation_failed"), None),
    };
    let operation = match of.operation {
        Operation::Acknowledge => "ack",
        Operation::Release(_) => "release",
        Operation::Renew => "renew",
    };
    json!({
        "request_frame_id": of.frame,
        "message_id": of.message,
        "operation": operation,
        "status": status,
        "lease_expires_at": lease_expires,
        "reason": reason,
        "detail": null,
    })
}

/// Why an operation was not tried, or has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The worker is not asked to clean up.
    NotAccepted,
    /// Something failed here.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a2034c-a60e-77df-8caf-82a280613781";

    fn read(kind: &str, payload: &Value) -> Option<Frame> {
        Frame::read(&json!({"type": kind, "id": ID, "sent_at": 0, "payload": payload}).to_string())
    }

    fn hello(changes: &Value) -> Option<Hello> {
        let mut payload = json!({
            "consumer_id": ID, "worker_name": "w", "worker_type": "process", "heartbeat_interval_seconds": 30,
            "supported_channel_versions": ["v"], "requested_capabilities": REQUIRED,
        });
        for (name, value) in changes.as_object().unwrap() {
            payload[name] = value.clone();
        }
        match read("worker.hello.v1", &payload)? {
            Frame::Hello(hello) => Some(*hello),
            _ => None,
        }
    }

    #[test]
    fn a_worker_says_whether_it_cleans_up() {
        let (all, kinds) = ([REQUIRED[0], REQUIRED[1], CLEANUP_DELIVERY], ["cancelling_timeout_teardown.v1"]);
        for (changes, expected) in [
            (json!({}), Some((false, 0))),
            (json!({"requested_capabilities": all}), Some((false, 0))),
            (json!({"requested_capabilities": all, "handled_cleanup_kinds": kinds}), Some((true, 1))),
            (
                json!({"requested_capabilities": all, "handled_cleanup_kinds": kinds, "max_cleanup_concurrency": 0}),
                Some((false, 0)),
            ),
            (json!({"requested_capabilities": all, "max_cleanup_concurrency": 3}), Some((false, 3))),
            (json!({"handled_cleanup_kinds": kinds}), None),
            (json!({"max_cleanup_concurrency": 1}), None),
            (json!({"requested_capabilities": all, "handled_cleanup_kinds": ["x"]}), None),
            (json!({"requested_capabilities": all, "max_cleanup_concurrency": null}), None),
            (json!({"requested_capabilities": [REQUIRED[0]]}), None),
            (json!({"requested_capabilities": []}), None),
        ] {
            let found = hello(&changes).map(|hello| (hello.cleans_up(), hello.max_cleanup_concurrency));
            assert_eq!(found, expected, "{changes}");
        }
    }

    #[test]
    fn what_only_servers_send_or_nobody_is_no_frame() {
        for text in ["", "no json", "5", "null", "[]", "{}", r#"{"type": 5}"#, r#"{"type": "worker.ready.v1"}"#] {
            assert_eq!(Frame::read(text), None, "{text}");
        }
        let released = json!({"message_id": ID, "reservation_token": "t", "reason": "r"});
        let Some(Frame::Cleanup(of)) = read("cleanup.release.v1", &released) else { panic!("a release") };
        assert_eq!((of.token.as_str(), of.operation), ("t", Operation::Release("r".into())));
        assert_eq!(read("cleanup.ack.v1", &released), None, "an acknowledgement has no reason");
        assert_eq!(read("cleanup.release.v1", &json!({"message_id": ID, "reservation_token": "t"})), None);
    }
}
