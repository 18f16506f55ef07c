//! Each function answers its sample of `events/` through its own entry point.

use common::store::Key;
use futures::{StreamExt, stream};
use registry::functions::{
    FALLBACK, FIRE_TIMERS, Function, JOB_RUNNER, STREAM_CONSUMER, TALLY_CONSUMER, Trigger, WEBSOCKETS, functions,
};
use serde_json::{Value, json};

use crate::{
    secrets::let_through,
    stage::{Stage, WAITING, answer_of, sample},
};

/// How many functions run at once.
const AT_ONCE: usize = 3;

/// The functions whose answers are no 2xx, nor 404 where the path names something: (function, status, why).
const OTHERWISE: [(&str, u64, &str); 16] = [
    ("count_account_events", 200, "the path names what is counted, which is nothing"),
    ("create_api_key", 409, "the server asks for no API keys"),
    ("create_block_document", 409, "there is no such block type"),
    ("create_block_schema", 404, "there is no such block type"),
    ("create_deployment", 409, "there is no such flow"),
    ("create_csrf_token", 422, "CSRF protection is not enabled"),
    ("create_flow_run", 409, "there is no such flow"),
    ("delete_automations_owned_by_resource", 202, "nothing belongs to a resource that does not exist"),
    ("filter_flow_run_input", 200, "a run that does not exist has no inputs"),
    ("install_system_block_types", 404, "nobody has taken them from Prefect's package"),
    ("read_account_events_page", 403, "the token is none of ours"),
    ("read_automations_related_to_resource", 200, "nothing has to do with a resource that does not exist"),
    ("read_dashboard_task_run_counts", 422, "the earliest start is not named"),
    ("renew_concurrency_lease", 410, "there is no such lease any more"),
    ("update_server_default_result_storage", 404, "there is no such block document"),
    ("schedule_deployment", 200, "a deployment that does not exist has no schedules to make runs of"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_answers_its_sample() {
    let mut responses =
        stream::iter(functions()).map(|function| tokio::spawn(try_out(function))).buffer_unordered(AT_ONCE);
    let mut problems = Vec::new();
    while let Some(outcome) = responses.next().await {
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => problems.push(problem),
            Err(panic) => problems.push(panic.to_string()),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_that_measures_the_queue_asks_it() {
    let (name, stage) = ("read_consumer_lag", Stage::new().await);
    let answer = stage.ask(name, &sample(name)).await;
    let lag: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!((&lag["queue"]["waiting"], &lag["queue"]["unknown"]), (&json!(WAITING), &Value::Null), "{answer}");
}

async fn try_out(function: Function) -> Result<(), String> {
    let (name, event) = (function.name, sample(function.name));
    let stage = Stage::new().await;
    let problem = match function.trigger {
        Trigger::Route(route) => {
            let answer = stage.ask(name, &event).await;
            let status = answer["statusCode"].as_u64().unwrap_or_default();
            let fits = match OTHERWISE.iter().find(|(otherwise, ..)| *otherwise == name) {
                Some((_, expected, _)) => status == *expected,
                None if route.path.contains('{') => status == 404,
                None => (200..300).contains(&status),
            };
            if fits { None } else { Some(answer.to_string()) }
        }
        Trigger::Unrouted => {
            let answer = stage.ask(FALLBACK, &event).await;
            let is_redirect = answer["statusCode"] == 307 && answer["headers"]["location"] == "/api/flows/filter";
            if is_redirect { None } else { Some(answer.to_string()) }
        }
        Trigger::Stream => consume(&stage, &event).await,
        Trigger::Window => count(&stage, &event).await,
        Trigger::Socket => hold(&stage, name, &event).await,
        Trigger::Queue => run_jobs(&stage, &event).await,
        Trigger::Schedule => look_for_what_is_due(&stage, &event).await,
        Trigger::Gateway => let_through(&stage, &event).await,
    };
    problem.map_or(Ok(()), |problem| Err(format!("{name}: {problem}")))
}

/// Checks that nothing failed to the consumer, and that what follows from the changes is in the table.
async fn consume(stage: &Stage, event: &Value) -> Option<String> {
    let answer = stage.ask(STREAM_CONSUMER, event).await;
    if answer != json!({"batchItemFailures": []}) {
        return Some(answer.to_string());
    }
    let items = stage.items().await;
    let heads: Vec<&str> = items.values().filter_map(|item| item.head.as_deref()).collect();
    for event in ["prefect.flow.created", "prefect.flow-run.Pending"] {
        if !heads.iter().any(|head| head.contains(&format!(r#""event":"{event}""#))) {
            return Some(format!("{event} is not in the table: {heads:#?}"));
        }
    }
    let task_run = Key { pk: "task_run#01980000-0000-7000-8000-000000000002".into(), sk: "run".into() };
    if items.contains_key(&task_run) { None } else { Some(format!("the task run is not in the table: {heads:#?}")) }
}

/// Checks that nothing failed to the consumer that counts, and that the count of what was there before has begun.
async fn count(stage: &Stage, event: &Value) -> Option<String> {
    let answer = stage.ask(TALLY_CONSUMER, event).await;
    let has_begun = stage.app.store.tally_fill().await.unwrap().is_some();
    let is_done = answer == json!({"state": {}, "batchItemFailures": []}) && has_begun;
    if is_done { None } else { Some(answer.to_string()) }
}

/// Checks that the worker does what a message asks for: the sample's is about what is due.
async fn run_jobs(stage: &Stage, event: &Value) -> Option<String> {
    let run = stage.add_overdue_run().await;
    let answer = stage.ask(JOB_RUNNER, event).await;
    let found = stage.app.store.flow_run(run).await.unwrap().unwrap().record.state_name;
    let is_done = answer == json!({"batchItemFailures": []}) && found.as_deref() == Some("Late");
    if is_done { None } else { Some(format!("{answer}, and the run is {found:?}")) }
}

/// Checks that the schedule's function leaves a message where a timer is due and where a run may be late.
async fn look_for_what_is_due(stage: &Stage, event: &Value) -> Option<String> {
    stage.ask(FIRE_TIMERS, event).await;
    let before = stage.sent();
    stage.add_overdue_run().await;
    stage.ask(FIRE_TIMERS, event).await;
    let after = stage.sent();
    let mut left: Vec<_> = after.iter().map(|message| (&message["task"], &message["partition"])).collect();
    left.sort_by_key(|(task, _)| task.to_string());
    let expected = [(json!("late_runs"), json!("flow_runs#0")), (json!("timers"), json!("timers#0"))];
    let is_left = before.is_empty() && left == expected.each_ref().map(|(task, partition)| (task, partition));
    if is_left { None } else { Some(format!("{before:?}, then {after:?}")) }
}

/// Checks that a connection is opened and noted, its messages are taken, and it is forgotten.
async fn hold(stage: &Stage, name: &str, event: &Value) -> Option<String> {
    let [connect, message, _] = WEBSOCKETS;
    let opened = stage.ask(connect, &sample(connect)).await;
    // An event stands by the id that tells its time.
    let is_of = |key: &Key, kind: &str| key.sk.split('#').next() == Some(kind);
    let keeps = async |kind: &str| stage.items().await.keys().any(|key| is_of(key, kind));
    if opened != json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "prefect"}}) {
        return Some(opened.to_string());
    }
    if !keeps("connection").await {
        return Some("the connection is not noted".into());
    }
    if name == connect {
        return None;
    }
    let mut function = stage.start(name, &stage.url).await;
    let answer = answer_of(name, &mut function, event).await;
    if name == message {
        let mut second = event.clone();
        let boiled = json!({
            "occurred": "2026-01-31T09:30:00Z",
            "event": "kettle.boiled",
            "resource": {"prefect.resource.id": "kettle"},
            "id": "01980000-0000-7000-8000-000000000001",
        });
        second["body"] = boiled.to_string().into();
        let nothing = answer_of(name, &mut function, &second).await;
        let is_welcome = answer == json!({"statusCode": 200, "body": r#"{"type":"auth_success"}"#});
        let is_kept = nothing == json!({"statusCode": 200}) && keeps("event").await;
        return if is_welcome && is_kept { None } else { Some(format!("{answer}, then {nothing}")) };
    }
    let is_forgotten = answer == json!({"statusCode": 200}) && !keeps("connection").await;
    if is_forgotten { None } else { Some(answer.to_string()) }
}
