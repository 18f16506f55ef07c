//! Functions that are killed in the middle of an invocation, which is then delivered again: nothing is lost or doubled.
//!
//! They are killed at every call to the database: before the database has it, and after it carried it out.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use bytes::Bytes;
use common::{
    jobs::queue::Queue,
    stream::{self, Change},
};
use registry::functions::STREAM_CONSUMER;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    gate::{Gate, Hold},
    stage::{Stage, answer_of, sample},
};

const SET_STATE: &str = "set_flow_run_state";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_flow_run_state_killed_and_asked_again_sets_the_state_once() {
    let (calls, expected) = undisturbed(SET_STATE, a_transition).await;
    assert!(calls >= 2, "a transition is a read and a write");
    assert!(expected.iter().any(|fact| fact == "event v1 prefect.flow-run.Running"), "{expected:?}");
    for hold in all_holds(calls) {
        let stage = Stage::new().await;
        let event = a_transition(&stage).await;
        kill_at(SET_STATE, &stage, &event, hold).await;
        let answer = stage.ask(SET_STATE, &event).await;
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["state"]["type"], "RUNNING", "{hold:?}: {answer}");
        // The write is the last call; a state that is there already is not created, which upstream tells by the status.
        let status = if hold == Hold::After(calls) { 200 } else { 201 };
        assert_eq!(answer["statusCode"], status, "{hold:?}: {answer}");
        assert_eq!(facts_in_the_end(&stage).await, expected, "{hold:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_consumer_killed_within_a_batch_and_given_it_again_does_everything_once() {
    let (calls, expected) = undisturbed(STREAM_CONSUMER, a_batch).await;
    for event in ["prefect.flow.created", "prefect.flow-run.Completed"] {
        assert!(expected.contains(&format!("event v1 {event}")), "{expected:?}");
    }
    // It holds its states.
    assert!(expected.contains(&"task_run run v1 COMPLETED".to_owned()), "{expected:?}");
    for hold in all_holds(calls) {
        let stage = Stage::new().await;
        let event = a_batch(&stage).await;
        kill_at(STREAM_CONSUMER, &stage, &event, hold).await;
        let mut function = stage.start(STREAM_CONSUMER, &stage.url).await;
        // It is delivered until it succeeded, and may be delivered after that.
        for _ in 0..2 {
            let answer = answer_of(STREAM_CONSUMER, &mut function, &event).await;
            assert_eq!(answer, json!({"batchItemFailures": []}), "{hold:?}");
        }
        assert_eq!(facts_in_the_end(&stage).await, expected, "{hold:?}");
    }
}

pub(crate) fn all_holds(calls: usize) -> impl Iterator<Item = Hold> {
    (1..=calls).flat_map(|call| [Hold::Before(call), Hold::After(call)])
}

/// Invokes `function` in peace; returns how often it called the database, and the facts in the end.
async fn undisturbed(function: &str, prepare: impl AsyncFn(&Stage) -> Value) -> (usize, Vec<String>) {
    let stage = Stage::new().await;
    let event = prepare(&stage).await;
    let gate = Gate::before(&stage.url, Hold::Nothing).await;
    answer_of(function, &mut stage.start(function, &gate.url).await, &event).await;
    (gate.calls(), facts_in_the_end(&stage).await)
}

/// Invokes `function`, and kills its process where `hold` says.
pub(crate) async fn kill_at(function: &str, stage: &Stage, event: &Value, hold: Hold) {
    let gate = Gate::before(&stage.url, hold).await;
    let mut process = stage.start(function, &gate.url).await;
    tokio::select! {
        () = gate.held() => {}
        invocation = process.invoke(Bytes::from(event.to_string())) => panic!("{hold:?}: {invocation:?}"),
    }
    process.kill().await.unwrap();
}

/// Returns a request to set the state of a new flow run, as the client sends it: with an id for the transition.
async fn a_transition(stage: &Stage) -> Value {
    let app = proctor::app(stage.app.clone());
    let flow = ask(&app, "POST", "/api/flows/", &json!({"name": "flow"})).await;
    let run = json!({"flow_id": flow["id"], "state": {"type": "PENDING"}});
    let run = ask(&app, "POST", "/api/flow_runs/", &run).await;
    let path = format!("/api/flow_runs/{}/set_state", run["id"].as_str().unwrap());
    let mut event = sample(SET_STATE);
    event["rawPath"] = path.as_str().into();
    event["requestContext"]["http"]["path"] = path.as_str().into();
    event["pathParameters"]["id"] = run["id"].clone();
    let details = json!({"transition_id": "01980000-0000-4000-8000-000000000001"});
    event["body"] = json!({"state": {"type": "RUNNING", "state_details": details}}).to_string().into();
    event
}

/// Returns a batch of the stream that tells of a flow, a run's life, a task run's life, and a run that was deleted.
async fn a_batch(stage: &Stage) -> Value {
    let app = proctor::app(stage.app.clone());
    let flow = ask(&app, "POST", "/api/flows/", &json!({"name": "flow"})).await;
    let mut runs = Vec::new();
    for name in ["kept", "deleted"] {
        let run = json!({"flow_id": flow["id"], "name": name, "state": {"type": "PENDING"}});
        let run = ask(&app, "POST", "/api/flow_runs/", &run).await;
        let path = format!("/api/flow_runs/{}", run["id"].as_str().unwrap());
        for state in ["RUNNING", "COMPLETED"] {
            ask(&app, "POST", &format!("{path}/set_state"), &json!({"state": {"type": state}})).await;
        }
        runs.push((run, path));
    }
    let states = ["PENDING", "RUNNING", "COMPLETED"];
    let reports: Vec<Value> =
        (1..).zip(states).map(|(second, state)| report(&runs[0].0["id"], second, state)).collect();
    ask(&app, "POST", "/api/events", &reports.into()).await;
    ask(&app, "DELETE", &runs[1].1, &Value::Null).await;
    let records = (1..).zip(stage.changes().await).map(|(number, record): (u32, _)| {
        let change = json!({
            "Keys": record.keys, "OldImage": record.old_image, "NewImage": record.new_image,
            "SequenceNumber": number.to_string(), "SizeBytes": 1_024,
        });
        json!({"eventID": number.to_string(), "eventName": record.event_name, "awsRegion": "any", "dynamodb": change})
    });
    json!({"Records": records.collect::<Vec<_>>()})
}

/// Returns the client's event of a task run of `flow_run` that entered a state.
fn report(flow_run: &Value, second: u8, state: &str) -> Value {
    json!({
        "occurred": format!("2026-01-31T09:30:0{second}Z"),
        "event": format!("prefect.task-run.{state}"),
        "resource": {
            "prefect.resource.id": "prefect.task-run.01980000-0000-7000-8000-000000000001",
            "prefect.orchestration": "client",
        },
        "related": [{
            "prefect.resource.id": format!("prefect.flow-run.{}", flow_run.as_str().unwrap()),
            "prefect.resource.role": "flow-run",
        }],
        "payload": {"validated_state": {"type": state}, "task_run": {"task_key": "task", "dynamic_key": "0"}},
        "id": format!("01980000-0000-7000-8000-00000000001{second}"),
    })
}

pub(crate) async fn ask(app: &Router, method: &str, path: &str, body: &Value) -> Value {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = request.body(Body::from(body)).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
    serde_json::from_slice(&to_bytes(answer.into_body(), 1_000_000).await.unwrap()).unwrap_or_default()
}

/// Consumes every change that nobody consumed, and says of each item what it is, sorted.
async fn facts_in_the_end(stage: &Stage) -> Vec<String> {
    let changes = stage.changes().await;
    let changes: Vec<Change> = changes
        .into_iter()
        .map(|record| Change::from_json(record.keys, record.old_image, record.new_image).unwrap())
        .collect();
    let inbox = stage.database.queue().unwrap();
    let queue = Queue::new(aws_sdk_sqs::Client::from_conf(inbox.sdk_config()), "any");
    assert!(stream::consume(&stage.app, &queue, &changes).await.is_empty());
    facts(stage).await
}

/// Says of each item what it is, sorted.
pub(crate) async fn facts(stage: &Stage) -> Vec<String> {
    let mut facts: Vec<String> = Vec::new();
    for (key, item) in stage.items().await {
        let kind = |text: &str| text.split('#').next().unwrap_or_default().to_owned();
        let head: Value = item.head.and_then(|head| serde_json::from_str(&head).ok()).unwrap_or_default();
        let what = ["event", "type", "state_type", "name"].iter().find_map(|field| head[*field].as_str());
        let (kind, part) = (kind(&key.pk), kind(&key.sk));
        // Events are of two kinds, by where they stand.
        let name = if part == kind || part == "event" { part } else { format!("{kind} {part}") };
        // Whoever finds a claim of a record that was never written takes it over, which is a write more.
        // And a look that is made again moves its cursor again.
        let version = if ["unique", "late_runs cursor"].contains(&name.as_str()) { 1 } else { item.version };
        facts.push(format!("{name} v{version} {}", what.unwrap_or_default()));
    }
    facts.sort();
    facts
}
