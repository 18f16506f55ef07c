//! Task-run events as the Prefect client emits them, and the websocket that carries them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::{SinkExt, StreamExt};
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

use crate::http::Endpoint;

/// Task runs in one batch: few enough that the oracle records those of 16 clients within a round's grace.
pub(crate) const TASK_RUNS: usize = 5;

/// The states that a task run passes through, one event each: the type and the name.
const STATES: [(&str, &str); 3] = [("PENDING", "Pending"), ("RUNNING", "Running"), ("COMPLETED", "Completed")];

/// Events in one batch.
pub(crate) const EVENTS: usize = TASK_RUNS * STATES.len();

/// The whole life of a few task runs of one flow run.
pub(crate) struct Batch {
    pub(crate) task_run_ids: Vec<Uuid>,
    pub(crate) events: Vec<Value>,
}

impl Batch {
    /// New task runs of `flow_run`, and their events in the order in which they occurred.
    pub(crate) fn new(flow_run: &str) -> Self {
        let task_run_ids: Vec<Uuid> = (0..TASK_RUNS).map(|_| Uuid::now_v7()).collect();
        let events = task_run_ids.iter().flat_map(|id| life(*id, flow_run)).collect();
        Self { task_run_ids, events }
    }
}

/// The events of one task run, from pending to completed.
fn life(task_run: Uuid, flow_run: &str) -> Vec<Value> {
    let start = Utc::now();
    let dynamic_key = Uuid::new_v4();
    let mut follows: Option<Uuid> = None;
    let mut from: Option<(&str, &str)> = None;
    let mut events = Vec::with_capacity(STATES.len());
    for (step, (state_type, state_name)) in (0_i64..).zip(STATES) {
        let occurred = text(start + TimeDelta::microseconds(step * 50));
        let run_count = step.min(1);
        let mut recorded = json!({
            "name": "measure-0", "task_key": "measure-ae021fd1", "dynamic_key": dynamic_key,
            "empirical_policy": {"max_retries": 0, "retry_delay_seconds": 0.0, "retries": 0, "retry_delay": 0},
            "tags": [], "labels": {}, "task_inputs": {"x": []},
            "run_count": run_count, "flow_run_run_count": run_count,
            "expected_start_time": text(start), "total_run_time": 0.0,
        });
        if step >= 1 {
            recorded["start_time"] = text(start + TimeDelta::microseconds(50)).into();
        }
        if step >= 2 {
            recorded["end_time"] = occurred.as_str().into();
            recorded["total_run_time"] = 0.000_05.into();
        }
        let id = Uuid::now_v7();
        events.push(json!({
            "occurred": occurred,
            "event": format!("prefect.task-run.{state_name}"),
            "resource": {
                "prefect.resource.id": format!("prefect.task-run.{task_run}"),
                "prefect.resource.name": "measure-0",
                "prefect.run-count": run_count.to_string(),
                "prefect.state-message": "", "prefect.state-name": state_name,
                "prefect.state-timestamp": occurred, "prefect.state-type": state_type,
                "prefect.orchestration": "client",
            },
            "related": [{
                "prefect.resource.id": format!("prefect.flow-run.{flow_run}"),
                "prefect.resource.role": "flow-run", "prefect.resource.name": "measured",
            }],
            "payload": {
                "intended": {"from": from.map(|(state_type, _)| state_type), "to": state_type},
                "initial_state": from.map(|(state_type, state_name)| {
                    json!({"type": state_type, "name": state_name, "message": "", "state_details": {}})
                }),
                "validated_state": {
                    "type": state_type, "name": state_name, "message": "", "state_details": {}, "data": null,
                },
                "task_run": recorded,
            },
            "id": id,
            "follows": follows,
        }));
        follows = Some(id);
        from = Some((state_type, state_name));
    }
    events
}

/// A time as the client writes it: UTC, with microseconds.
pub(crate) fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// An authenticated websocket at `/events/in`.
#[derive(Debug)]
pub(crate) struct EventSocket {
    stream: WebSocketStream<TcpStream>,
}

impl EventSocket {
    /// Connects and authenticates as the client does: `prefect` subprotocol, ping, then the auth message.
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Self, String> {
        let mut request = endpoint.websocket("/events/in").into_client_request().map_err(|error| error.to_string())?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("prefect"));
        let stream = TcpStream::connect(endpoint.authority()).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (mut stream, _) = client_async(request, stream).await.map_err(|error| error.to_string())?;
        let auth = json!({"type": "auth", "token": null}).to_string();
        for message in [Message::Ping("measure".into()), Message::Text(auth.into())] {
            stream.send(message).await.map_err(|error| error.to_string())?;
        }
        while let Some(message) = stream.next().await {
            if let Message::Text(text) = message.map_err(|error| error.to_string())? {
                let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                return match answer["type"].as_str() {
                    Some("auth_success") => Ok(Self { stream }),
                    _ => Err(format!("the websocket answered {text} to the auth message")),
                };
            }
        }
        Err("the websocket closed before it answered the auth message".to_owned())
    }

    /// Sends each event as one message.
    pub(crate) async fn send(&mut self, events: Vec<Value>) -> Result<(), String> {
        for event in events {
            self.stream.feed(Message::Text(event.to_string().into())).await.map_err(|error| error.to_string())?;
        }
        self.stream.flush().await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_batch_tells_every_state_of_every_task_run_in_order() {
        let batch = Batch::new("91bcfbfe-5b67-4c24-bb3a-1fcb55537c26");
        assert_eq!((batch.task_run_ids.len(), batch.events.len()), (TASK_RUNS, EVENTS));
        let ids: BTreeSet<_> = batch.events.iter().map(|event| event["id"].to_string()).collect();
        assert_eq!(ids.len(), EVENTS);
        let life = &batch.events[..3];
        let to: Vec<_> = life.iter().map(|event| event["payload"]["intended"]["to"].as_str().unwrap()).collect();
        assert_eq!(to, ["PENDING", "RUNNING", "COMPLETED"]);
        assert_eq!(life[0]["follows"], Value::Null);
        assert_eq!(life[2]["follows"], life[1]["id"]);
        assert!(life[0]["occurred"].as_str() < life[1]["occurred"].as_str());
        assert_eq!(life[2]["payload"]["task_run"]["end_time"], life[2]["occurred"]);
    }
}
