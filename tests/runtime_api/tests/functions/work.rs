//! The schedule's function and the queue's worker, killed at every call to the table and invoked again, or two at once:
//! in the end the table is as if nothing had been killed.

use std::collections::HashSet;

use common::{
    App, Settings,
    filter::RunFilters,
    jobs::{
        self, Delivery,
        queue::{Message, Queue},
    },
    model::{
        BulkAction, ConcurrencyLimit, ConcurrencyLimitId, Event, EventId, FiringId, FlowRun, FlowRunId, Lease, LeaseId,
        Timestamp, automation::TriggerId, concurrency_limit::LongestWaits,
    },
    orchestration::Client as ProposingClient,
    store::{Key, table, workers::Heartbeat},
    stream::{self, Change},
    transitions::{Proposal, propose_flow_run_state},
};
use futures::{StreamExt, stream as futures_stream};
use registry::functions::{FIRE_TIMERS, JOB_RUNNER};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    gate::{Gate, Hold},
    killed::{all_holds, ask, facts, kill_at},
    stage::{Stage, answer_of, sample},
};

/// How many stages there are at once.
const AT_ONCE: usize = 4;

/// Long enough ago for anything to be overdue, in seconds.
const LONG_AGO: f64 = -3_600.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_look_at_a_schedule_makes_each_run_once() {
    let expected = killed_anywhere(JOB_RUNNER, a_schedule).await;
    let runs = expected.iter().filter(|fact| *fact == "flow_run run v1 SCHEDULED").count();
    assert_eq!(runs, 3, "{expected:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_looks_at_a_schedule_at_once_one_may_be_killed() {
    let (calls, expected) = undisturbed(JOB_RUNNER, a_schedule).await;
    // The last call is the write: before it nothing is there, and after it all.
    let ends = [Hold::Before(calls), Hold::After(calls)];
    let meetings = (1..=calls).flat_map(|held| ends.map(|hold| (held, hold)));
    each(meetings, async |(held, hold)| {
        let stage = Stage::new().await;
        let event = a_schedule(&stage).await;
        let gate = Gate::before(&stage.url, Hold::Before(held)).await;
        let mut first = stage.start(JOB_RUNNER, &gate.url).await;
        let killed = async {
            gate.held().await;
            kill_at(JOB_RUNNER, &stage, &event, hold).await;
            gate.release();
        };
        let (answer, ()) = tokio::join!(answer_of(JOB_RUNNER, &mut first, &event), killed);
        assert_eq!(answer, json!({"batchItemFailures": []}), "held before {held}, the other killed {hold:?}");
        assert_eq!(in_the_end(&stage).await, expected, "held before {held}, the other killed {hold:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_due_is_done_once_however_often_its_worker_is_killed() {
    let expected = killed_anywhere(JOB_RUNNER, timers).await;
    // A pool is not ready when it is made either.
    let told = [
        ("event v1 prefect.flow-run.Late", 1),
        ("event v1 prefect.flow-run.Failed", 1),
        ("event v1 prefect.flow-run.Cancelled", 1),
        ("event v1 prefect.work-pool.not-ready", 2),
        ("event v1 prefect.work-queue.not-ready", 1),
    ];
    for (fact, times) in told {
        assert_eq!(expected.iter().filter(|found| *found == fact).count(), times, "{fact}: {expected:?}");
    }
    assert!(!expected.iter().any(|fact| fact.starts_with("lease")), "{expected:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_late_once_however_often_its_worker_is_killed() {
    let prepare = async |stage: &Stage| {
        for _ in 0..2 {
            stage.add_overdue_run().await;
        }
        let partition = stage.app.store.next_start_partitions().remove(0);
        delivery(&Message::LateRuns { partition, after: None, until: Timestamp::now() })
    };
    let expected = killed_anywhere(JOB_RUNNER, prepare).await;
    assert_eq!(expected.iter().filter(|fact| *fact == "event v1 prefect.flow-run.Late").count(), 2, "{expected:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_removal_leaves_nothing_behind() {
    let expected = killed_anywhere(JOB_RUNNER, a_removal).await;
    let rest = ["flow_run ", "task_run", "log", "artifact ", "lease"];
    assert!(!expected.iter().any(|fact| rest.iter().any(|kind| fact.starts_with(kind))), "{expected:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_step_of_a_bulk_deletion_deletes_everything() {
    let expected = killed_anywhere(JOB_RUNNER, a_bulk_step).await;
    assert!(!expected.iter().any(|fact| fact.starts_with("flow_run ")), "{expected:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_tick_is_made_up_for_by_the_next() {
    let prepare = async |stage: &Stage| {
        timers(stage).await;
        a_schedule(stage).await;
        sample(FIRE_TIMERS)
    };
    let expected = killed_anywhere(FIRE_TIMERS, prepare).await;
    assert!(expected.iter().any(|fact| fact == "event v1 prefect.flow-run.Late"), "{expected:?}");
    assert_eq!(expected.iter().filter(|fact| *fact == "flow_run run v1 SCHEDULED").count(), 3, "{expected:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_action_runs_a_deployment_once() {
    let prepare = async |stage: &Stage| {
        let app = proctor::app(stage.app.clone());
        let flow = ask(&app, "POST", "/api/flows/", &json!({"name": "run by an automation"})).await;
        let deployment = json!({"flow_id": flow["id"], "name": "d"});
        let deployment = ask(&app, "POST", "/api/deployments/", &deployment).await;
        let action = json!({"type": "run-deployment", "source": "selected", "deployment_id": deployment["id"]});
        an_action(stage, &action, "thing").await
    };
    let expected = killed_anywhere(JOB_RUNNER, prepare).await;
    assert_eq!(expected.iter().filter(|fact| fact.starts_with("flow_run run")).count(), 1, "{expected:?}");
    assert_told_as_executed(&expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_action_cancels_a_flow_run_once() {
    let prepare = async |stage: &Stage| {
        let run = add_run(stage, "cancelled").await;
        enter(&stage.app, run, json!({"type": "RUNNING"})).await;
        an_action(stage, &json!({"type": "cancel-flow-run"}), &format!("prefect.flow-run.{run}")).await
    };
    let expected = killed_anywhere(JOB_RUNNER, prepare).await;
    assert_eq!(
        expected.iter().filter(|fact| *fact == "event v1 prefect.flow-run.Cancelling").count(),
        1,
        "{expected:?}"
    );
    assert_told_as_executed(&expected);
}

/// Asserts that the one action is told once, and as one that was carried out.
fn assert_told_as_executed(facts: &[String]) {
    let told: Vec<_> = facts.iter().filter(|fact| fact.contains("prefect.automation.action.")).collect();
    let expected = ["event v1 prefect.automation.action.executed", "event v1 prefect.automation.action.triggered"];
    assert_eq!(told, expected, "{facts:?}");
}

/// Invokes `function` in peace; returns how often it called the table, and what is there in the end.
async fn undisturbed(function: &str, prepare: impl AsyncFn(&Stage) -> Value) -> (usize, Vec<String>) {
    let stage = Stage::new().await;
    let event = prepare(&stage).await;
    let gate = Gate::before(&stage.url, Hold::Nothing).await;
    answer_of(function, &mut stage.start(function, &gate.url).await, &event).await;
    (gate.calls(), in_the_end(&stage).await)
}

/// Kills `function` before and after each of its calls, and invokes it again, twice; returns what is there in the end.
async fn killed_anywhere(function: &str, prepare: impl AsyncFn(&Stage) -> Value) -> Vec<String> {
    let (calls, expected) = undisturbed(function, &prepare).await;
    each(all_holds(calls), async |hold| {
        let stage = Stage::new().await;
        let event = prepare(&stage).await;
        kill_at(function, &stage, &event, hold).await;
        let mut again = stage.start(function, &stage.url).await;
        for _ in 0..2 {
            let answer = answer_of(function, &mut again, &event).await;
            assert!(answer.is_null() || answer == json!({"batchItemFailures": []}), "{hold:?}: {answer}");
        }
        assert_eq!(in_the_end(&stage).await, expected, "{hold:?}");
    })
    .await;
    expected
}

/// Does `check` for each of `cases`, some at a time.
async fn each<C>(cases: impl Iterator<Item = C>, check: impl AsyncFn(C)) {
    futures_stream::iter(cases).map(|case| check(case)).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Lets everything follow that is still to follow, and says of each item what it is, sorted.
async fn in_the_end(stage: &Stage) -> Vec<String> {
    let inbox = stage.database.queue().unwrap();
    let queue = Queue::new(aws_sdk_sqs::Client::from_conf(inbox.sdk_config()), "any");
    let mut known = HashSet::new();
    loop {
        let changes = stage.changes().await;
        let changes: Vec<Change> = changes
            .into_iter()
            .map(|record| Change::from_json(record.keys, record.old_image, record.new_image).unwrap())
            .collect();
        assert!(stream::consume(&stage.app, &queue, &changes).await.is_empty());
        let received = inbox.hand_out(1_000, std::time::Duration::from_mins(1)).await.unwrap();
        let sent = stage.sent().into_iter().map(|message| message.to_string());
        let texts = received.into_iter().map(|message| message.body).chain(sent);
        let new: Vec<Delivery> = texts
            .map(|text| serde_json::from_str::<Value>(&text).unwrap())
            .filter(|message| known.insert(message.to_string()))
            .map(|message| serde_json::from_value::<Message>(message).unwrap().into())
            .collect();
        if new.is_empty() {
            let mut facts = facts(stage).await;
            // What a killed step has deleted, the next one does not find, and may come to the end a step sooner.
            facts.retain(|fact| !fact.starts_with("bulk_operation part"));
            return facts;
        }
        assert!(jobs::consume(&stage.app, &queue, &new).await.is_empty());
    }
}

/// Returns the event that hands `message` to the queue's worker.
fn delivery(message: &Message) -> Value {
    let mut event = sample(JOB_RUNNER);
    event["Records"][0]["body"] = serde_json::to_string(message).unwrap().into();
    event
}

/// Adds a deployment that is due to be looked at; returns the delivery of the message about it.
async fn a_schedule(stage: &Stage) -> Value {
    let app = proctor::app(stage.app.clone());
    let flow = ask(&app, "POST", "/api/flows/", &json!({"name": "scheduled"})).await;
    let anchor = Timestamp::now().plus_seconds(-43_200.0);
    let schedule = json!({"schedule": {"interval": 86_400, "anchor_date": anchor}, "active": true});
    let deployment = json!({"flow_id": flow["id"], "name": "daily", "schedules": [schedule]});
    let deployment = ask(&app, "POST", "/api/deployments/", &deployment).await;
    delivery(&Message::Schedule { deployment: serde_json::from_value(deployment["id"].clone()).unwrap() })
}

async fn enter(app: &App, run: FlowRunId, state: Value) {
    let proposal = Proposal::new(serde_json::from_value(state).unwrap(), true, ProposingClient::default());
    propose_flow_run_state(app, run, &proposal).await.unwrap();
}

async fn add_run(stage: &Stage, name: &str) -> FlowRunId {
    let app = proctor::app(stage.app.clone());
    let flow = ask(&app, "POST", "/api/flows/", &json!({"name": "flow"})).await;
    let flow = serde_json::from_value(flow["id"].clone()).unwrap();
    let run = FlowRun::new(FlowRunId::new(), flow, name, Timestamp::now());
    stage.app.store.commit(vec![stage.app.store.insert(&run).unwrap()]).await.unwrap();
    run.id
}

/// Adds a limit with a lease on it that is over.
async fn add_lease(stage: &Stage) {
    let now = Timestamp::now();
    let store = &stage.app.store;
    let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), "limit", 1, now);
    store.add(&limit).await.unwrap();
    let (id, expiration) = (LeaseId::new(), now.plus_seconds(LONG_AGO));
    let lease =
        Lease { id, expiration, slots: 1, holder: None, created: Some(now), limits: Vec::new(), is_listed: false };
    let names = ["limit".to_owned()];
    store.take_slots(&names, 1, Some(&lease), now, LongestWaits::default(), |_| Ok(())).await.unwrap();
}

/// Adds one of each that the server acts on by itself, all of them overdue; returns the delivery of their timers.
async fn timers(stage: &Stage) -> Value {
    stage.add_overdue_run().await;
    let settings = Settings { cancelling_timeout: LONG_AGO, ..(*stage.app.settings).clone() };
    let app = App::new(stage.app.store.clone(), settings);
    let long_ago = Timestamp::now().plus_seconds(LONG_AGO);
    let paused = json!({"type": "PAUSED", "state_details": {"pause_timeout": long_ago}});
    enter(&app, add_run(stage, "paused").await, paused).await;
    enter(&app, add_run(stage, "cancelling").await, json!({"type": "CANCELLING"})).await;
    add_lease(stage).await;
    let app = proctor::app(stage.app.clone());
    ask(&app, "POST", "/api/work_pools/", &json!({"name": "pool", "type": "process"})).await;
    let store = &stage.app.store;
    store.record_heartbeat("pool", &Heartbeat::new("worker", Some(30)), long_ago).await.unwrap();
    let found = store.work_pool_with_queues("pool").await.unwrap().unwrap();
    store.note_poll(&found.queues, long_ago).await.unwrap();
    delivery(&Message::Timers { partition: store.timer_partitions().remove(0), after: None })
}

/// Adds a flow run with all that may belong to one; returns its id.
async fn a_full_run(stage: &Stage) -> FlowRunId {
    let app = proctor::app(stage.app.clone());
    let run = add_run(stage, "full").await;
    enter(&stage.app, run, json!({"type": "RUNNING"})).await;
    let now = Timestamp::now();
    let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), "tag:limited", 1, now);
    stage.app.store.add(&limit).await.unwrap();
    let task_run = json!({
        "flow_run_id": run, "task_key": "task", "dynamic_key": "0", "name": "task", "tags": ["limited"],
    });
    let task_run = ask(&app, "POST", "/api/task_runs/", &task_run).await;
    let path = format!("/api/task_runs/{}/set_state", task_run["id"].as_str().unwrap());
    let answer = ask(&app, "POST", &path, &json!({"state": {"type": "RUNNING"}})).await;
    assert_eq!(answer["status"], "ACCEPT", "{answer}");
    let artifact = json!({"key": "report", "type": "markdown", "data": "text", "flow_run_id": run});
    ask(&app, "POST", "/api/artifacts/", &artifact).await;
    let log = json!({"name": "log", "level": 20, "message": "line", "timestamp": now, "flow_run_id": run});
    ask(&app, "POST", "/api/logs/", &json!([log])).await;
    run
}

/// Deletes a flow run, and returns the delivery of the message about what belonged to it.
async fn a_removal(stage: &Stage) -> Value {
    let run = a_full_run(stage).await;
    let of: Key = table::flow_run(run);
    assert!(stage.app.store.delete_flow_run(run, Timestamp::now(), LongestWaits::default()).await.unwrap());
    delivery(&Message::Removal { of, is_second_look: false })
}

/// Begins to delete all flow runs, and returns the delivery of the first step.
async fn a_bulk_step(stage: &Stage) -> Value {
    for name in ["one", "two"] {
        enter(&stage.app, add_run(stage, name).await, json!({"type": "COMPLETED"})).await;
    }
    let begun = jobs::bulk::begin(&stage.app, RunFilters::default(), BulkAction::DeleteFlowRuns).await;
    let id = begun.unwrap().id();
    assert_eq!(stage.app.store.bulk_operation(id).await.unwrap().unwrap().record.parts, 1);
    delivery(&Message::BulkStep { operation: id, part: 0, step: 0 })
}

/// Adds a firing of an automation with this action and the event about `resource` that made it; returns the delivery of
/// the message about the action.
async fn an_action(stage: &Stage, action: &Value, resource: &str) -> Value {
    let (now, trigger, id) = (Timestamp::now(), TriggerId::new(), FiringId::new());
    let event: Event = serde_json::from_value(json!({
        "occurred": now, "event": "it.happened", "id": EventId::new(), "resource": {"prefect.resource.id": resource},
    }))
    .unwrap();
    stage.app.store.add_events(&[event.clone().receive(now)], 3_600).await.unwrap();
    let automation = json!({
        "name": "a", "id": Uuid::new_v4(), "created": now, "updated": now, "actions": [action],
        "trigger": {"type": "event", "posture": "Reactive", "id": trigger},
    });
    let firing = json!({"id": id, "trigger": trigger, "triggered": now, "at": now, "triggering_event": event.id});
    let firing = serde_json::from_value(json!({"automation": automation, "firing": firing})).unwrap();
    stage.app.store.add_firings(&[firing]).await.unwrap();
    delivery(&Message::Act { firing: id, action: 0 })
}
