//! Messages of clients over websockets, validated as the bodies of requests are.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

use super::{Checks, MESSAGES, PAGE_LIMIT, Rejection, Request, Validated, request::Plan};

/// One kind of message.
#[derive(Debug)]
pub struct Message {
    kind: &'static str,
    source: &'static str,
    plan: OnceLock<Plan>,
}

impl Message {
    pub(super) const fn new(kind: &'static str, source: &'static str) -> Self {
        Self { kind, source, plan: OnceLock::new() }
    }

    /// Finds the message that says of itself that it is of this `kind`: `worker.hello.v1`.
    pub fn find(kind: &str) -> Option<&'static Self> {
        MESSAGES.iter().find(|message| message.kind == kind)
    }

    /// Validates and coerces the text of a message; what was sent of it is [`Validated::sent`], all of it [`Validated::body`].
    ///
    /// # Errors
    /// Says what is wrong, as of a request.
    pub fn validate(&self, text: &str) -> Result<Validated, Rejection> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let request = Request { path: &[], query: "", headers: &headers, body: text.as_bytes() };
        let plan = self.plan.get_or_init(|| Plan::compile(self.kind, self.source));
        plan.validate("POST", &request, PAGE_LIMIT, Checks::default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn heartbeat(payload: &Value) -> Option<Value> {
        let id = "01a2034c-a60e-77df-8caf-82a280613781";
        let frame = json!({"type": "worker.heartbeat.v1", "id": id, "sent_at": 0, "payload": payload});
        Message::find("worker.heartbeat.v1").unwrap().validate(&frame.to_string()).ok().map(|valid| valid.body)
    }

    #[test]
    fn a_message_is_coerced_and_strict_about_its_fields() {
        let id = "01a2034c-a60e-77df-8caf-82a280613781";
        let good = json!({"consumer_id": id, "worker_name": "w", "heartbeat_interval_seconds": "7"});
        assert_eq!(heartbeat(&good).unwrap()["payload"]["heartbeat_interval_seconds"], 7);
        for (name, value) in [
            ("consumer_id", json!("x")),
            ("worker_name", json!("")),
            ("heartbeat_interval_seconds", json!(0)),
            ("more", json!(1)),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert_eq!(heartbeat(&bad), None, "{bad}");
        }
        assert_eq!(heartbeat(&json!({})), None);
        assert!(Message::find("worker.ready.v1").is_none(), "only servers send it");
    }

    #[test]
    fn every_message_can_be_compiled() {
        for message in &MESSAGES {
            assert!(message.validate("{}").is_err(), "{}", message.kind);
            assert!(message.validate("").is_err(), "{}", message.kind);
        }
    }
}
