//! Transitions against the embedded database: on good days, on bad days, and all at once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use common::{
    App, Error, Settings, Store,
    model::{
        Deployment, DeploymentId, Flow, FlowId, FlowRun, FlowRunId, State, StateId, StateType, TaskRun, TaskRunId,
        Timestamp, concurrency_limit::LongestWaits,
    },
    orchestration::{
        Client, Status,
        policy::{flow_policy, task_policy},
    },
    store::{Shards, backend::LARGEST_RECORD, cost::measured},
    transitions::{self, Orchestrated, Proposal, propose_flow_run_state, propose_task_run_state},
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// An API on a database of its own, and one that meets faults on the same database.
struct World {
    app: App,
    bad_day: App,
    faults: Faults,
}

impl World {
    async fn new() -> Self {
        let (database, faults) = (EmbeddedDatabase::in_memory().unwrap(), Faults::on_commits());
        let app = |client| {
            let client = aws_sdk_dynamodb::Client::from_conf(EmbeddedDatabase::config_with(client));
            App::new(Store::new(client, "proctor-records", Shards(2)), Settings::default())
        };
        let bad_day = app(faults.before(database.http_client()));
        let app = app(database.http_client());
        app.store.create_table().await.unwrap();
        Self { app, bad_day, faults }
    }

    async fn flow_run(&self, parent: Option<&TaskRun>) -> FlowRun {
        let now = self.app.now();
        let (flow, _) = self.app.store.add_flow(Flow::new(FlowId::new(), "flow", now)).await.unwrap();
        let mut run = FlowRun::new(FlowRunId::new(), flow.id, "run", now);
        run.parent_task_run_id = parent.map(|run| run.id);
        run.parent_flow_run_id = parent.and_then(|run| run.flow_run_id);
        let state = Some(State::new(StateId::new(), StateType::Pending, now));
        let (run, writes) =
            transitions::create(&self.app, run, state, flow_policy(true), Client::default()).await.unwrap();
        self.app.store.commit(writes).await.map_err(Error::from).unwrap();
        run
    }

    async fn task_run(&self, flow_run: &FlowRun) -> TaskRun {
        let now = self.app.now();
        let mut run = TaskRun::new(TaskRunId::new(), "task", "0", "task-0", now);
        run.flow_run_id = Some(flow_run.id);
        let state = State::new(StateId::new(), StateType::Pending, now);
        let policy = task_policy(&state, true);
        let (run, writes) = transitions::create(&self.app, run, Some(state), policy, Client::default()).await.unwrap();
        self.app.store.commit(writes).await.map_err(Error::from).unwrap();
        run
    }

    async fn read_flow_run(&self, run: &FlowRun) -> FlowRun {
        self.app.store.flow_run(run.id).await.unwrap().unwrap().record
    }

    async fn read_task_run(&self, run: &TaskRun) -> TaskRun {
        self.app.store.task_run(run.id).await.unwrap().unwrap().record
    }

    async fn types(&self, run: &FlowRun) -> Vec<StateType> {
        types(&self.app.store.flow_run_states(run.id).await.unwrap())
    }

    async fn task_types(&self, run: &TaskRun) -> Vec<StateType> {
        types(&self.app.store.task_run_states(run.id).await.unwrap())
    }
}

fn types(states: &[State]) -> Vec<StateType> {
    states.iter().map(|state| state.r#type).collect()
}

fn proposal(state: Value) -> Proposal {
    Proposal::new(serde_json::from_value(state).unwrap(), false, Client::default())
}

fn of(r#type: StateType) -> Proposal {
    proposal(json!({ "type": r#type }))
}

async fn set(app: &App, run: &FlowRun, r#type: StateType) -> Result<Orchestrated, Error> {
    propose_flow_run_state(app, run.id, &of(r#type)).await
}

use StateType::{Completed, Failed, Pending, Running};

#[tokio::test]
async fn a_transition_is_one_read_and_one_write() {
    let world = World::new().await;
    let run = world.flow_run(None).await;
    let (outcome, cost) = measured(set(&world.app, &run, Running)).await;
    assert!(outcome.unwrap().entered);
    assert_eq!(cost.round_trips, 2, "the run, and the transaction");

    let task_run = world.task_run(&run).await;
    let (outcome, cost) = measured(propose_task_run_state(&world.app, task_run.id, &of(Running))).await;
    assert!(outcome.unwrap().entered);
    assert_eq!(cost.round_trips, 3, "the task run, the flow run that the rules ask for, and the transaction");
}

#[tokio::test]
async fn a_refusal_writes_nothing() {
    let world = World::new().await;
    let run = world.flow_run(None).await;
    set(&world.app, &run, Running).await.unwrap();
    let before = world.read_flow_run(&run).await;
    let (outcome, cost) = measured(set(&world.app, &run, Pending)).await;
    assert_eq!(outcome.unwrap().verdict.status(), Status::Abort);
    assert_eq!((cost.round_trips, world.read_flow_run(&run).await), (1, before));
}

#[tokio::test]
async fn no_run_is_an_error() {
    let world = World::new().await;
    let nobody = propose_flow_run_state(&world.app, FlowRunId::new(), &of(Running)).await;
    assert!(matches!(nobody, Err(Error::NoSuchRun(_))));
}

#[tokio::test]
async fn a_lost_answer_neither_doubles_nor_loses_a_transition() {
    let world = World::new().await;
    let run = world.flow_run(None).await;
    world.faults.then(Fault::AnswerLost);
    assert!(set(&world.bad_day, &run, Running).await.unwrap().entered);
    assert_eq!(world.faults.left(), 0);
    assert_eq!(world.types(&run).await, [Pending, Running]);
    assert_eq!(world.read_flow_run(&run).await.run_count, 1);
}

#[tokio::test]
async fn a_forgotten_transition_is_recognised_even_when_the_run_has_gone_on() {
    let world = World::new().await;
    let run = world.flow_run(None).await;
    world.faults.then(Fault::Forgotten);
    let (forgotten, ()) = tokio::join!(set(&world.bad_day, &run, Running), async {
        while world.read_flow_run(&run).await.state_type != Some(Running) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        set(&world.app, &run, Failed).await.unwrap();
        set(&world.app, &run, Running).await.unwrap();
        set(&world.app, &run, Completed).await.unwrap();
        world.faults.go_on();
    });
    let forgotten = forgotten.unwrap();
    assert!(forgotten.entered);
    let history = world.app.store.flow_run_states(run.id).await.unwrap();
    let entered = forgotten.state.unwrap();
    assert_eq!(history.iter().filter(|state| state.id == entered.id).count(), 1);
    assert_eq!(history.get(1), Some(&entered));
    assert_eq!(history.last().map(|state| state.r#type), world.read_flow_run(&run).await.state_type);
}

#[tokio::test]
async fn conflicts_are_decided_again() {
    let world = World::new().await;
    let run = world.flow_run(None).await;
    world.faults.then(Fault::TransactionConflict).then(Fault::TransactionConflict).then(Fault::Throttled);
    assert!(set(&world.bad_day, &run, Running).await.unwrap().entered);
    assert_eq!((world.faults.left(), world.types(&run).await), (0, vec![Pending, Running]));
}

#[tokio::test]
async fn endless_conflicts_and_throttling_are_unavailability() {
    for fault in [Fault::TransactionConflict, Fault::Throttled, Fault::InternalError] {
        let world = World::new().await;
        let run = world.flow_run(None).await;
        let before = world.read_flow_run(&run).await;
        for _ in 0..100 {
            world.faults.then(fault);
        }
        let error = set(&world.bad_day, &run, Running).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{fault:?}: {error}");
        assert_eq!(error.status().as_u16(), 503);
        assert_eq!((world.read_flow_run(&run).await, world.types(&run).await), (before, vec![Pending]));
    }
}

#[tokio::test]
async fn a_state_that_is_larger_than_any_request_is_refused_whole() {
    let world = World::new().await;
    let run = world.flow_run(None).await;
    let before = world.read_flow_run(&run).await;
    let large = |bytes: usize| proposal(json!({"type": "RUNNING", "message": "x".repeat(bytes)}));
    let error = propose_flow_run_state(&world.app, run.id, &large(LARGEST_RECORD)).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error}");
    assert_eq!(error.status().as_u16(), 413);
    assert_eq!((world.read_flow_run(&run).await, world.types(&run).await), (before, vec![Pending]));
    assert!(propose_flow_run_state(&world.app, run.id, &large(450_000)).await.unwrap().entered);
}

fn completed_with_result() -> Proposal {
    proposal(json!({"type": "COMPLETED", "data": {"type": "reference", "storage_key": "result"}}))
}

/// Sixteen clients set states on one run at once: what was answered is what happened, in one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_make_one_legal_history() {
    let world = Arc::new(World::new().await);
    let run = world.flow_run(None).await;
    let mut clients = JoinSet::new();
    for client in 0..16 {
        let (world, run) = (world.clone(), run.clone());
        clients.spawn(async move {
            let mut entered = Vec::new();
            let last = if client == 7 { completed_with_result() } else { of(Running) };
            for proposal in [of(Running), of(Pending), of(Running), last] {
                let outcome = propose_flow_run_state(&world.app, run.id, &proposal).await.unwrap();
                entered.extend(outcome.state.filter(|_| outcome.entered).map(|state| state.id));
            }
            entered
        });
    }
    let mut answered: Vec<StateId> = clients.join_all().await.into_iter().flatten().collect();
    answered.extend(run.state_id);
    let history = world.app.store.flow_run_states(run.id).await.unwrap();
    let run = world.read_flow_run(&run).await;

    let mut entered: Vec<StateId> = history.iter().map(|state| state.id).collect();
    entered.sort();
    answered.sort();
    assert_eq!(entered, answered, "each transition that was answered is in the history, once");
    assert_eq!(history.last().map(|state| state.id), run.state_id);
    let rest = history.get(1..).unwrap();
    assert!(rest.iter().all(|state| state.r#type != Pending), "a running run never waits again: {:?}", types(rest));
    let end = history.iter().position(State::is_terminal);
    assert_eq!(end, Some(history.len() - 1), "a run with a result stays completed: {:?}", types(rest));
    let running = history.iter().filter(|state| state.r#type == Running).count();
    assert_eq!(run.run_count, i64::try_from(running).unwrap());
    let ran: i64 = history
        .windows(2)
        .filter(|pair| pair[0].r#type == Running)
        .map(|pair| pair[1].timestamp.as_micros() - pair[0].timestamp.as_micros())
        .sum();
    assert_eq!(run.total_run_time.as_micros(), ran, "the run times are those of the history");
}

#[tokio::test]
async fn a_parent_s_task_run_follows_its_subflow_in_the_same_transaction() {
    let world = World::new().await;
    let parent = world.flow_run(None).await;
    set(&world.app, &parent, Running).await.unwrap();
    let task_run = world.task_run(&parent).await;
    let subflow = world.flow_run(Some(&task_run)).await;
    let (_, cost) = measured(set(&world.app, &subflow, Running)).await;
    assert_eq!(cost.round_trips, 3, "the subflow run, the parent's task run, and the transaction");

    world.faults.then(Fault::TransactionConflict).then(Fault::AnswerLost);
    assert!(set(&world.bad_day, &subflow, Completed).await.unwrap().entered);
    let expected = [Pending, Running, Completed];
    assert_eq!(world.types(&subflow).await, expected);
    assert_eq!(world.task_types(&task_run).await, [vec![Pending], expected.to_vec()].concat());
    let state = world.read_task_run(&task_run).await.state.unwrap();
    assert_eq!((state.r#type, state.state_details.child_flow_run_id), (Completed, Some(subflow.id)));
}

/// A subflow run that fails to be written leaves its parent's task run as it was.
#[tokio::test]
async fn a_subflow_and_its_parent_s_task_run_change_together_or_not_at_all() {
    let world = World::new().await;
    let parent = world.flow_run(None).await;
    let task_run = world.task_run(&parent).await;
    let subflow = world.flow_run(Some(&task_run)).await;
    let before = (world.read_flow_run(&subflow).await, world.read_task_run(&task_run).await);
    let large = proposal(json!({"type": "RUNNING", "message": "x".repeat(LARGEST_RECORD)}));
    propose_flow_run_state(&world.app, subflow.id, &large).await.unwrap_err();
    assert_eq!((world.read_flow_run(&subflow).await, world.read_task_run(&task_run).await), before);
}

/// Runs a task to its end under a cache key; returns the run and its completed state.
async fn complete(world: &World, flow_run: &FlowRun, key: &str, expiration: Option<Timestamp>) -> (TaskRun, State) {
    let run = world.task_run(flow_run).await;
    let details = json!({"cache_key": key, "cache_expiration": expiration, "refresh_cache": true});
    for r#type in [Running, Completed] {
        let proposed = proposal(json!({"type": r#type, "state_details": details}));
        assert!(propose_task_run_state(&world.app, run.id, &proposed).await.unwrap().entered);
    }
    let run = world.read_task_run(&run).await;
    let state = run.state.clone().unwrap();
    (run, state)
}

/// Starts a task under a cache key; returns the name of the state that it enters.
async fn start(world: &World, flow_run: &FlowRun, key: &str) -> String {
    let run = world.task_run(flow_run).await;
    let proposed = proposal(json!({"type": "RUNNING", "state_details": {"cache_key": key}}));
    propose_task_run_state(&world.app, run.id, &proposed).await.unwrap().state.unwrap().name
}

#[tokio::test]
async fn a_cached_state_is_found_until_it_expires_or_its_run_is_deleted() {
    let world = World::new().await;
    let flow_run = world.flow_run(None).await;
    set(&world.app, &flow_run, Running).await.unwrap();
    assert_eq!(start(&world, &flow_run, "key").await, "Running", "nothing is cached");

    let (first, state) = complete(&world, &flow_run, "key", None).await;
    assert_eq!(world.app.store.cached_state("key").await.unwrap(), Some(state.clone()));
    assert_eq!(start(&world, &flow_run, "key").await, "Cached");
    assert_eq!(start(&world, &flow_run, "another key").await, "Running");

    let past = Timestamp::now().plus_seconds(-1.0);
    complete(&world, &flow_run, "key", Some(past)).await;
    assert_eq!(world.app.store.cached_state("key").await.unwrap(), Some(state), "the newest one has expired");
    complete(&world, &flow_run, "expired key", Some(past)).await;
    assert_eq!(start(&world, &flow_run, "expired key").await, "Running");

    let (newest, state) = complete(&world, &flow_run, "key", Some(past.plus_seconds(3_600.0))).await;
    assert_eq!(world.app.store.cached_state("key").await.unwrap(), Some(state));
    for run in [first, newest] {
        assert!(world.app.store.delete_task_run(run.id, Timestamp::now(), LongestWaits::default()).await.unwrap());
    }
    assert_eq!(start(&world, &flow_run, "key").await, "Running", "the state went with its run");
}

#[tokio::test]
async fn a_deleted_task_run_takes_its_states_along_and_leaves_its_subflow() {
    let world = World::new().await;
    let parent = world.flow_run(None).await;
    let task_run = world.task_run(&parent).await;
    let subflow = world.flow_run(Some(&task_run)).await;
    for _ in 0..60 {
        for r#type in [Running, Pending] {
            let forced = Proposal { force: true, ..of(r#type) };
            propose_task_run_state(&world.app, task_run.id, &forced).await.unwrap();
        }
    }
    assert!(world.task_types(&task_run).await.len() > 100, "more than one transaction takes");
    assert!(world.app.store.delete_task_run(task_run.id, Timestamp::now(), LongestWaits::default()).await.unwrap());
    assert!(!world.app.store.delete_task_run(task_run.id, Timestamp::now(), LongestWaits::default()).await.unwrap());
    assert!(world.task_types(&task_run).await.is_empty());
    assert_eq!(world.read_flow_run(&subflow).await.parent_task_run_id, None);
    assert!(set(&world.app, &subflow, Running).await.unwrap().entered);
}

/// A deployment whose limit lets `slots` of its runs run, and runs of it that are scheduled.
async fn limited(world: &World, slots: i64, runs: usize, strategy: Value) -> (Deployment, Vec<FlowRun>) {
    let now = world.app.now();
    let (flow, _) = world.app.store.add_flow(Flow::new(FlowId::new(), "limited", now)).await.unwrap();
    let mut deployment = Deployment::new(DeploymentId::new(), &flow, "limited", now);
    deployment.concurrency_options = serde_json::from_value(json!({ "collision_strategy": strategy })).unwrap();
    let limit = world.app.store.limit_deployment(&mut deployment, Some(slots), now).await.unwrap();
    world.app.store.add_deployment(&deployment, limit).await.map_err(Error::from).unwrap();
    let mut made = Vec::new();
    for place in 0..runs {
        let mut run = FlowRun::new(FlowRunId::new(), flow.id, format!("run-{place}"), now);
        run.deployment_id = Some(deployment.id);
        let state = Some(State::new(StateId::new(), StateType::Scheduled, now));
        let (run, writes) =
            transitions::create(&world.app, run, state, flow_policy(true), Client::default()).await.unwrap();
        world.app.store.commit(writes).await.map_err(Error::from).unwrap();
        made.push(run);
    }
    (deployment, made)
}

async fn taken(world: &World, deployment: &Deployment) -> i64 {
    let limit = world.app.store.concurrency_limit(deployment.concurrency_limit_id.unwrap()).await.unwrap();
    limit.unwrap().record.active_slots
}

async fn in_state(world: &World, runs: &[FlowRun], r#type: StateType) -> Vec<FlowRun> {
    let mut found = Vec::new();
    for run in runs {
        let run = world.read_flow_run(run).await;
        if run.state_type == Some(r#type) {
            found.push(run);
        }
    }
    found
}

#[tokio::test]
async fn never_more_runs_of_a_deployment_than_its_limit() {
    let world = World::new().await;
    let (deployment, runs) = limited(&world, 5, 32, "ENQUEUE".into()).await;
    let mut clients = JoinSet::new();
    for run in runs.clone() {
        let app = world.app.clone();
        clients.spawn(async move { set(&app, &run, Pending).await.unwrap() });
    }
    let outcomes = clients.join_all().await;
    let accepted = outcomes.iter().filter(|outcome| outcome.verdict.status() == Status::Accept).count();
    assert_eq!((accepted, taken(&world, &deployment).await), (5, 5));
    let submitted = in_state(&world, &runs, Pending).await;
    assert_eq!(submitted.len(), 5);
    let waiting = in_state(&world, &runs, StateType::Scheduled).await;
    assert!(waiting.iter().all(|run| run.state_name.as_deref() == Some("AwaitingConcurrencySlot")));
    // Half of them end while their slots are asked for by others.
    let mut clients = JoinSet::new();
    for run in &submitted {
        let (app, run) = (world.app.clone(), run.clone());
        clients.spawn(async move { set(&app, &run, Failed).await.unwrap().entered });
    }
    for run in waiting {
        let app = world.app.clone();
        clients.spawn(async move { set(&app, &run, Pending).await.unwrap().entered });
    }
    clients.join_all().await;
    let submitted = in_state(&world, &runs, Pending).await;
    assert_eq!(i64::try_from(submitted.len()).unwrap(), taken(&world, &deployment).await);
    assert!(submitted.len() <= 5);
    for run in submitted {
        set(&world.app, &run, Failed).await.unwrap();
    }
    assert_eq!(taken(&world, &deployment).await, 0);
}

#[tokio::test]
async fn a_run_without_a_slot_is_cancelled_where_the_deployment_has_it() {
    let world = World::new().await;
    let (deployment, runs) = limited(&world, 1, 2, "CANCEL_NEW".into()).await;
    assert!(set(&world.app, &runs[0], Pending).await.unwrap().entered);
    set(&world.app, &runs[1], Pending).await.unwrap();
    assert_eq!(world.types(&runs[1]).await, [StateType::Scheduled, StateType::Cancelled]);
    assert_eq!(taken(&world, &deployment).await, 1);
}

#[tokio::test]
async fn a_slot_is_taken_once_however_the_store_answers() {
    let world = World::new().await;
    let (deployment, runs) = limited(&world, 3, 3, "ENQUEUE".into()).await;
    for (run, fault) in runs.iter().zip([Fault::AnswerLost, Fault::TransactionConflict, Fault::Throttled]) {
        world.faults.then(fault);
        assert!(set(&world.bad_day, run, Pending).await.unwrap().entered, "{fault:?}");
    }
    assert_eq!(taken(&world, &deployment).await, 3);
    for (run, fault) in runs.iter().zip([Fault::AnswerLost, Fault::TransactionConflict, Fault::Throttled]) {
        world.faults.then(fault);
        assert!(set(&world.bad_day, run, Failed).await.unwrap().entered, "{fault:?}");
    }
    assert_eq!(taken(&world, &deployment).await, 0);
}
