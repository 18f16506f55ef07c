//! The queue's worker, against the embedded database and its queue: many flow runs, repeats, crashes, faults.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use common::{
    App, Error, Settings,
    filter::RunFilters,
    jobs::{self, Delivery, queue::Message},
    model::{
        Artifact, ArtifactId, BulkAction, BulkOperation, BulkProgress, ConcurrencyLimit, ConcurrencyLimitId,
        Deployment, DeploymentId, Flow, FlowId, FlowRun, FlowRunId, Lease, LeaseId, StateType, TaskRun, TaskRunId,
        Timestamp, concurrency_limit::LongestWaits,
    },
    orchestration::Client,
    store::{
        bulk_operations::FlowRunPart, concurrency_limits::Taking, cost, deployments::called, select::Window, table,
    },
    transitions::{Proposal, propose_flow_run_state, propose_task_run_state},
};
use embedded::faults::{Fault, Faults};
use serde_json::{Value, json};
use world::{World, world};

impl World {
    async fn add_runs(&self, count: usize) -> Vec<FlowRunId> {
        let flow = FlowId::new();
        let runs: Vec<FlowRun> = (0..count)
            .map(|place| {
                let mut run = FlowRun::new(FlowRunId::new(), flow, format!("run-{place}"), Timestamp::now());
                run.expected_start_time = Some(run.created);
                run.tags = vec![if place % 2 == 0 { "even".into() } else { "odd".into() }];
                run
            })
            .collect();
        for run in &runs {
            self.app.store.commit(vec![self.app.store.insert(run).unwrap()]).await.unwrap();
        }
        runs.iter().map(|run| run.id).collect()
    }

    async fn begin(&self, filter: Value, work: BulkAction) -> BulkOperation {
        let filters = RunFilters { flow_runs: serde_json::from_value(filter).unwrap(), ..RunFilters::default() };
        let id = jobs::bulk::begin(&self.app, filters, work).await.unwrap().id();
        self.app.store.bulk_operation(id).await.unwrap().unwrap().record
    }

    /// Works off everything that there is to do; `times` tells how often each message is delivered.
    async fn settle(&mut self, times: usize) {
        loop {
            self.follow_writes().await;
            let received = self.messages().await;
            if received.is_empty() {
                return;
            }
            let messages: Vec<Message> = received.iter().map(|(_, message)| message.clone()).collect();
            let deliveries: Vec<Delivery> = (0..times).flat_map(|_| messages.clone()).map(Delivery::from).collect();
            let failures = jobs::consume(&self.app, &self.queue, &deliveries).await;
            for (place, (received, _)) in received.iter().enumerate() {
                let failed =
                    |time: usize| failures.iter().any(|failure| failure.place == time * messages.len() + place);
                if !(0..times).any(failed) {
                    self.inbox.acknowledge(received).await.unwrap();
                }
            }
        }
    }

    async fn progress(&self, operation: &BulkOperation) -> (BulkProgress, Vec<FlowRunPart>) {
        let parts = self.app.store.bulk_parts(std::slice::from_ref(operation)).await.unwrap();
        let mut progress = BulkProgress::default();
        for part in &parts {
            progress.add(part.progress.clone());
        }
        (progress, parts)
    }

    async fn history(&self, run: FlowRunId) -> Vec<StateType> {
        let states = self.app.store.flow_run_states(run).await.unwrap();
        states.iter().map(|state| state.r#type).collect()
    }
}

fn task_run_in(flow_run: FlowRunId, dynamic_key: &str) -> TaskRun {
    let task_run = TaskRun::new(TaskRunId::new(), "task", dynamic_key, "task-0", Timestamp::now());
    TaskRun { flow_run_id: Some(flow_run), ..task_run }
}

fn set(r#type: StateType) -> BulkAction {
    let state = serde_json::from_value(json!({ "type": r#type })).unwrap();
    BulkAction::SetFlowRunStates { state, force: false, client: Client::default() }
}

fn counted(matched: u64, done: u64, refused: u64) -> BulkProgress {
    BulkProgress { matched, done, refused, ..BulkProgress::default() }
}

#[tokio::test]
async fn every_flow_run_that_matches_is_treated_once() {
    for times in [1, 3] {
        let mut world = world(&Faults::default()).await;
        let runs = world.add_runs(401).await;
        let operation = world.begin(json!({"tags": {"all_": ["odd"]}}), set(StateType::Cancelled)).await;
        world.settle(times).await;
        let (progress, parts) = world.progress(&operation).await;
        assert_eq!(progress, counted(200, 200, 0));
        assert!(parts.len() == 3 && parts.iter().all(|part| part.finished.is_some()));
        for (place, run) in runs.into_iter().enumerate() {
            let expected: &[StateType] = if place % 2 == 0 { &[] } else { &[StateType::Cancelled] };
            assert_eq!(world.history(run).await, expected);
        }
    }
}

#[tokio::test]
async fn a_flow_run_that_its_new_state_moves_is_counted_once() {
    for kind in [StateType::Crashed, StateType::Failed] {
        let mut world = world(&Faults::default()).await;
        world.add_runs(150).await;
        world.begin(Value::Null, set(StateType::Scheduled)).await;
        world.settle(1).await;
        let operation = world.begin(Value::Null, set(kind)).await;
        world.settle(1).await;
        assert_eq!(world.progress(&operation).await.0, counted(150, 150, 0), "{kind:?}");
    }
}

#[tokio::test]
async fn flow_runs_are_deleted_with_what_belongs_to_them() {
    let mut world = world(&Faults::default()).await;
    let runs = world.add_runs(120).await;
    let task_run = task_run_in(runs[7], "0");
    world.app.store.commit(vec![world.app.store.insert(&task_run).unwrap()]).await.unwrap();
    let artifact = |run| {
        let now = Timestamp::now();
        let id = ArtifactId::at(now, ArtifactId::new().0);
        Artifact { key: Some("report".into()), flow_run_id: run, ..Artifact::new(id, now) }
    };
    let (kept, gone) = (artifact(None), artifact(Some(runs[7])));
    world.app.store.add_artifact(&kept).await.unwrap();
    world.app.store.add_artifact(&gone).await.unwrap();
    let operation = world.begin(Value::Null, BulkAction::DeleteFlowRuns).await;
    world.settle(2).await;
    assert_eq!(world.progress(&operation).await.0, counted(120, 120, 0));
    assert!(world.app.store.artifact(gone.id).await.unwrap().is_none());
    assert_eq!(world.app.store.latest_artifact("report").await.unwrap().unwrap().latest_id, kept.id);
    for run in runs {
        assert!(world.app.store.flow_run(run).await.unwrap().is_none());
    }
    assert!(world.app.store.task_run(task_run.id).await.unwrap().is_none());
}

#[tokio::test]
async fn named_flow_runs_are_looked_up_and_those_that_are_gone_are_no_match() {
    let mut world = world(&Faults::default()).await;
    let runs = world.add_runs(40).await;
    let mut named: Vec<FlowRunId> = runs.iter().copied().take(30).collect();
    named.push(FlowRunId::new());
    let operation = world.begin(json!({"id": {"any_": named}}), set(StateType::Cancelled)).await;
    world.settle(1).await;
    assert_eq!(world.progress(&operation).await.0, counted(30, 30, 0));
    assert_eq!(world.history(runs[39]).await, []);
}

#[tokio::test]
async fn what_the_rules_refuse_is_counted_and_is_not_done_on_a_repeat() {
    let mut world = world(&Faults::default()).await;
    world.add_runs(10).await;
    world.begin(Value::Null, set(StateType::Running)).await;
    world.settle(1).await;
    let operation = world.begin(Value::Null, set(StateType::Pending)).await;
    world.settle(2).await;
    assert_eq!(world.progress(&operation).await.0, counted(10, 0, 10));
}

#[tokio::test]
async fn a_worker_that_dies_after_its_work_repeats_none_of_it() {
    let faults = Faults::on("PutItem");
    let mut world = world(&faults).await;
    let runs = world.add_runs(30).await;
    let operation = world.begin(Value::Null, set(StateType::Running)).await;
    world.follow_writes().await;
    let messages: Vec<Delivery> = world.messages().await.into_iter().map(|(_, message)| message.into()).collect();
    // The states are transactions; the step itself is noted by a single write, which fails here as often as it is tried.
    for _ in 0..12 {
        faults.then(Fault::InternalError);
    }
    let failures = jobs::consume(&world.app, &world.queue, &messages).await;
    assert!(failures.is_empty(), "what passes is sent again: {failures:?}");
    while faults.left() > 0 {
        let _ = world
            .app
            .store
            .commit(vec![
                world.app.store.insert(&FlowRun::new(FlowRunId::new(), FlowId::new(), "x", Timestamp::now())).unwrap(),
            ])
            .await;
    }
    // By the time of the repeat, a client has gone on with one of them.
    let later = world.begin(json!({"id": {"any_": [runs[3]]}}), set(StateType::Completed)).await;
    world.settle(1).await;
    assert_eq!(world.progress(&later).await.0.done, 1);
    assert_eq!(world.progress(&operation).await.0.done, 30);
    assert_eq!(world.history(runs[3]).await, [StateType::Running, StateType::Completed]);
    assert_eq!(world.history(runs[4]).await, [StateType::Running]);
}

#[tokio::test]
async fn a_store_that_throttles_only_delays() {
    let faults = Faults::on("TransactWriteItems");
    let mut world = world(&faults).await;
    let runs = world.add_runs(20).await;
    let operation = world.begin(Value::Null, set(StateType::Running)).await;
    for _ in 0..9 {
        faults.then(Fault::Throttled);
    }
    faults.then(Fault::AnswerLost).then(Fault::TransactionConflict).then(Fault::AnswerLost);
    world.settle(1).await;
    assert_eq!(world.progress(&operation).await.0, counted(20, 20, 0));
    for run in runs {
        assert_eq!(world.history(run).await, [StateType::Running]);
    }
}

#[tokio::test]
async fn an_operation_that_is_stopped_does_no_more() {
    let mut world = world(&Faults::default()).await;
    let runs = world.add_runs(50).await;
    let operation = world.begin(Value::Null, BulkAction::DeleteFlowRuns).await;
    world.app.store.stop_bulk_operation(operation.id, Timestamp::now()).await.unwrap();
    world.app.store.stop_bulk_operation(operation.id, Timestamp::now()).await.unwrap();
    world.settle(1).await;
    let (progress, parts) = world.progress(&operation).await;
    assert_eq!(progress, counted(0, 0, 0));
    assert!(parts.iter().all(|part| part.finished.is_some()));
    assert!(world.app.store.flow_run(runs[0]).await.unwrap().is_some());
}

#[tokio::test]
async fn what_goes_with_a_record_is_gone_before_anybody_follows_the_writes() {
    let world = world(&Faults::default()).await;
    let App { store, .. } = &world.app;
    let flow = Flow::new(FlowId::new(), "flow", Timestamp::now());
    store.add_flow(flow.clone()).await.unwrap();
    let deployment = Deployment::new(DeploymentId::new(), &flow, "deployment", Timestamp::now());
    store.add_deployment(&deployment, Vec::new()).await.unwrap();
    let (mut runs, mut task_runs) = (Vec::new(), Vec::new());
    for number in 0..20 {
        let run = FlowRun::new(FlowRunId::new(), flow.id, format!("run-{number}"), Timestamp::now());
        store.commit(vec![store.insert(&run).unwrap()]).await.unwrap();
        world.enter(run.id, json!({"type": "RUNNING"})).await;
        let task_run = task_run_in(run.id, "0");
        store.commit(vec![store.insert(&task_run).unwrap()]).await.unwrap();
        runs.push(run.id);
        task_runs.push(task_run.id);
    }
    let kept = world.add_runs(1).await[0];
    store.delete::<Flow>(flow.id).await.unwrap();
    jobs::removals::within_request(&world.app, [table::flow(flow.id)]).await;
    assert!(store.deployment(deployment.id).await.unwrap().is_none());
    assert!(store.find::<Deployment>(called(flow.id, "deployment")).await.unwrap().is_none());
    for (run, task_run) in runs.into_iter().zip(task_runs) {
        assert!(store.flow_run(run).await.unwrap().is_none());
        assert!(store.task_run(task_run).await.unwrap().is_none());
        assert!(store.flow_run_states(run).await.unwrap().is_empty());
    }
    assert!(store.flow_run(kept).await.unwrap().is_some());
}

#[tokio::test]
async fn a_request_asks_each_shard_once_for_what_goes_with_a_flow_run() {
    let world = world(&Faults::default()).await;
    let run = world.add_runs(1).await[0];
    world.app.store.delete_flow_run(run, Timestamp::now(), LongestWaits::default()).await.unwrap();
    let ((), cost) = cost::measured(jobs::removals::within_request(&world.app, [table::flow_run(run)])).await;
    let shards = u64::from(world.app.store.shards().0);
    assert_eq!(cost.round_trips, shards + 1, "its own partition, and the shards of its task runs");
}

#[tokio::test]
async fn a_request_leaves_to_the_stream_what_fails() {
    let faults = Faults::default();
    let mut world = world(&faults).await;
    let run = world.add_runs(1).await[0];
    let task_run = task_run_in(run, "0");
    world.app.store.commit(vec![world.app.store.insert(&task_run).unwrap()]).await.unwrap();
    world.follow_writes().await;
    world.app.store.delete_flow_run(run, Timestamp::now(), LongestWaits::default()).await.unwrap();
    for _ in 0..40 {
        faults.then(Fault::InternalError);
    }
    jobs::removals::within_request(&world.app, [table::flow_run(run)]).await;
    faults.end();
    assert!(world.app.store.task_run(task_run.id).await.unwrap().is_some());
    world.settle(1).await;
    assert!(world.app.store.task_run(task_run.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_task_run_whose_flow_run_is_gone_takes_no_state() {
    let world = world(&Faults::default()).await;
    let run = world.add_runs(1).await[0];
    let task_run = task_run_in(run, "0");
    world.app.store.commit(vec![world.app.store.insert(&task_run).unwrap()]).await.unwrap();
    let propose = async |r#type: StateType, force| {
        let state = serde_json::from_value(json!({ "type": r#type })).unwrap();
        let proposal = Proposal::new(state, force, Client::default());
        propose_task_run_state(&world.app, task_run.id, &proposal).await
    };
    assert!(propose(StateType::Pending, false).await.unwrap().entered);
    world.app.store.delete_flow_run(run, Timestamp::now(), LongestWaits::default()).await.unwrap();
    for r#type in StateType::ALL {
        for force in [false, true] {
            let refused = propose(r#type, force).await.unwrap_err();
            assert!(matches!(refused, Error::NoSuchRun(_)), "{type:?} {force}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_removal_that_takes_long_goes_on_in_further_messages() {
    let mut world = world(&Faults::default()).await;
    let run = world.add_runs(1).await[0];
    for place in 0..300 {
        let task_run = task_run_in(run, &place.to_string());
        world.app.store.commit(vec![world.app.store.insert(&task_run).unwrap()]).await.unwrap();
    }
    world.follow_writes().await;
    world.app.store.delete_flow_run(run, Timestamp::now(), LongestWaits::default()).await.unwrap();
    let of = table::flow_run(run);
    // As much as one page, and then the time is up.
    jobs::removals::step(&world.app, &world.queue, &of, jobs::removals::Look::First, Duration::ZERO).await.unwrap();
    assert_eq!(
        world.messages().await.into_iter().map(|(_, message)| message).collect::<Vec<_>>(),
        [Message::Removal { of, is_second_look: false }]
    );
    world.settle(1).await;
    assert!(world.app.store.task_runs_of(run).await.unwrap().is_empty());
}

impl World {
    /// Sets a state, and returns the run's state some time later, when everything that is due has been done.
    async fn enter(&self, run: FlowRunId, state: Value) {
        let proposal = Proposal::new(serde_json::from_value(state).unwrap(), true, Client::default());
        propose_flow_run_state(&self.app, run, &proposal).await.unwrap();
    }

    async fn tick(&mut self) {
        for _ in 0..2 {
            jobs::timers::tick(&self.app, &self.queue).await.unwrap();
        }
        self.settle(2).await;
    }

    async fn names(&self, run: FlowRunId) -> Vec<String> {
        let states = self.app.store.flow_run_states(run).await.unwrap();
        states.into_iter().map(|state| state.name).collect()
    }

    async fn timers(&self) -> usize {
        let mut count = 0;
        for partition in self.app.store.timer_partitions() {
            count += self.app.store.timers(&partition, None, seconds_from_now(1e6), 1_000).await.unwrap().len();
        }
        count
    }
}

fn seconds_from_now(seconds: f64) -> Timestamp {
    Timestamp::now().plus_seconds(seconds)
}

fn scheduled(seconds: f64) -> Value {
    json!({"type": "SCHEDULED", "state_details": {"scheduled_time": seconds_from_now(seconds)}})
}

#[tokio::test]
async fn runs_that_are_not_started_in_time_are_late_once() {
    let mut world = world(&Faults::default()).await;
    let runs = world.add_runs(4).await;
    let [late, started, early, retrying] = runs[..] else { panic!("there are four") };
    world.enter(late, scheduled(-20.0)).await;
    world.enter(started, scheduled(-20.0)).await;
    world.enter(started, json!({"type": "RUNNING"})).await;
    world.enter(early, scheduled(3_600.0)).await;
    let mut again = scheduled(-20.0);
    again["name"] = "AwaitingRetry".into();
    world.enter(retrying, again).await;
    assert_eq!(world.timers().await, 1, "a run that has started or is not late yet has none");
    world.tick().await;
    assert_eq!(world.names(late).await, ["Scheduled", "Late"]);
    assert_eq!(world.names(started).await, ["Scheduled", "Running"]);
    assert_eq!(world.names(early).await, ["Scheduled"]);
    assert_eq!(world.names(retrying).await, ["AwaitingRetry"]);
    assert_eq!(world.timers().await, 0);
    let run = world.app.store.flow_run(late).await.unwrap().unwrap().record;
    assert!(run.next_scheduled_start_time.is_some_and(|time| time < Timestamp::now()));
}

#[tokio::test]
async fn pauses_expire_and_cancellations_end() {
    let mut world = world(&Faults::default()).await;
    let settings = Settings { cancelling_timeout: 0.0, ..(*world.app.settings).clone() };
    world.app = App::new(world.app.store.clone(), settings);
    let runs = world.add_runs(3).await;
    let pause = |seconds| json!({"type": "PAUSED", "state_details": {"pause_timeout": seconds_from_now(seconds)}});
    world.enter(runs[0], pause(-1.0)).await;
    world.enter(runs[1], pause(3_600.0)).await;
    world.enter(runs[2], json!({"type": "CANCELLING"})).await;
    world.tick().await;
    assert_eq!(world.history(runs[0]).await, [StateType::Paused, StateType::Failed]);
    assert_eq!(world.history(runs[1]).await, [StateType::Paused]);
    assert_eq!(world.history(runs[2]).await, [StateType::Cancelling, StateType::Cancelled]);
    let failed = world.app.store.flow_run_states(runs[0]).await.unwrap().pop().unwrap();
    assert_eq!(failed.message.as_deref(), Some("The flow was paused and never resumed."));
}

#[tokio::test]
async fn more_is_due_than_one_message_is_about() {
    let mut world = world(&Faults::default()).await;
    let runs = world.add_runs(650).await;
    for run in &runs {
        world.enter(*run, scheduled(-60.0)).await;
    }
    world.tick().await;
    assert_eq!(world.timers().await, 0);
    for run in runs {
        assert_eq!(world.names(run).await, ["Scheduled", "Late"]);
    }
}

#[tokio::test]
async fn what_is_soon_due_waits_in_the_queue() {
    let mut world = world(&Faults::default()).await;
    let run = world.add_runs(1).await[0];
    let pause = json!({"type": "PAUSED", "state_details": {"pause_timeout": seconds_from_now(0.7)}});
    world.enter(run, pause).await;
    world.settle(1).await;
    assert_eq!(world.history(run).await, [StateType::Paused]);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.settle(1).await;
    assert_eq!(world.history(run).await, [StateType::Paused, StateType::Failed]);
}

#[tokio::test]
async fn a_cancelled_run_cancels_what_runs_within_it() {
    let mut world = world(&Faults::default()).await;
    let runs = world.add_runs(1).await;
    let (going_on, done) = (task_run_in(runs[0], "0"), task_run_in(runs[0], "1"));
    for task_run in [&going_on, &done] {
        world.app.store.commit(vec![world.app.store.insert(task_run).unwrap()]).await.unwrap();
    }
    let subflow = FlowRun {
        parent_task_run_id: Some(going_on.id),
        parent_flow_run_id: Some(runs[0]),
        ..FlowRun::new(FlowRunId::new(), FlowId::new(), "within", Timestamp::now())
    };
    world.app.store.commit(vec![world.app.store.insert(&subflow).unwrap()]).await.unwrap();
    for (task_run, r#type) in [(&going_on, "RUNNING"), (&done, "COMPLETED")] {
        let state = serde_json::from_value(json!({ "type": r#type })).unwrap();
        let proposal = Proposal::new(state, true, Client::default());
        propose_task_run_state(&world.app, task_run.id, &proposal).await.unwrap();
    }
    world.enter(subflow.id, json!({"type": "RUNNING"})).await;
    world.enter(runs[0], json!({"type": "RUNNING"})).await;
    world.enter(runs[0], json!({"type": "CANCELLED"})).await;
    world.settle(2).await;
    assert_eq!(world.history(subflow.id).await, [StateType::Running, StateType::Cancelled]);
    let types = async |run: TaskRunId| world.app.store.task_run(run).await.unwrap().unwrap().record.state_type;
    assert_eq!(types(going_on.id).await, Some(StateType::Cancelled));
    assert_eq!(types(done.id).await, Some(StateType::Completed));
}

#[tokio::test]
async fn a_lease_that_nobody_renews_gives_its_slots_back() {
    let mut world = world(&Faults::default()).await;
    let (store, longest) = (world.app.store.clone(), world.app.settings.longest_waits);
    let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), "limit", 5, Timestamp::now());
    store.add(&limit).await.unwrap();
    let lease = |seconds| Lease {
        id: LeaseId::new(),
        expiration: seconds_from_now(seconds),
        slots: 2,
        holder: None,
        created: Some(Timestamp::now()),
        limits: Vec::new(),
        is_listed: false,
    };
    let (over, renewed) = (lease(-1.0), lease(3_600.0));
    for lease in [&over, &renewed] {
        let names = ["limit".to_owned()];
        let taking = store.take_slots(&names, 2, Some(lease), Timestamp::now(), longest, |_| Ok(())).await.unwrap();
        assert!(matches!(taking, Taking::Taken(_)));
    }
    world.tick().await;
    let slots = async || store.concurrency_limit(limit.id).await.unwrap().unwrap().record.active_slots;
    assert_eq!(slots().await, 2);
    assert!(!store.renew_lease(over.id, Timestamp::now(), 60.0).await.unwrap());
    assert!(store.renew_lease(renewed.id, Timestamp::now(), 60.0).await.unwrap());
    store.release_lease(renewed.id, Timestamp::now(), longest, |_| false).await.unwrap();
    assert_eq!(slots().await, 0);
}

#[tokio::test]
async fn slots_are_neither_lost_nor_taken_twice_when_answers_are_lost() {
    let faults = Faults::on("TransactWriteItems");
    let world = world(&faults).await;
    let (store, longest) = (world.app.store.clone(), world.app.settings.longest_waits);
    let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), "limit", 9, Timestamp::now());
    store.add(&limit).await.unwrap();
    let names = ["limit".to_owned()];
    let slots = async || store.concurrency_limit(limit.id).await.unwrap().unwrap().record.active_slots;
    for fault in [Fault::AnswerLost, Fault::TransactionConflict, Fault::Throttled] {
        faults.then(fault);
        store.take_slots(&names, 3, None, Timestamp::now(), longest, |_| Ok(())).await.unwrap();
        assert_eq!(slots().await, 3, "{fault:?}");
        faults.then(fault);
        store.give_slots_back(&names, 3, None, Timestamp::now(), longest).await.unwrap();
        assert_eq!(slots().await, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn what_kills_its_worker_again_and_again_is_put_aside_and_ends_its_operation() {
    let mut world = world(&Faults::default()).await;
    let runs = world.add_runs(10).await;
    let operation = world.begin(Value::Null, set(StateType::Running)).await;
    world.follow_writes().await;
    let handed_out = world.messages().await;
    let last = |(_, message): &(_, Message)| Delivery { message: message.clone(), receives: jobs::RECEIVES };
    let last: Vec<Delivery> = handed_out.iter().map(last).collect();
    for _ in 0..2 {
        assert!(jobs::consume(&world.app, &world.queue, &last).await.is_empty());
    }
    for (received, _) in &handed_out {
        world.inbox.acknowledge(received).await.unwrap();
    }
    world.settle(1).await;
    let (done, parts) = world.progress(&operation).await;
    assert_eq!(done, counted(0, 0, 0));
    let told = serde_json::to_value(jobs::progress::Progress::of(&operation, parts)).unwrap();
    assert_eq!(told["status"], "FAILED");
    assert!(told["finished"].is_string() && told["given_up"].as_array().unwrap().len() == 1, "{told}");

    let all = Window { offset: 0, limit: 50 };
    let letters = world.app.store.dead_letters(all).await.unwrap();
    assert_eq!(letters.len(), last.len(), "each is there once");
    assert!(letters.iter().all(|letter| letter.reason.contains("5 times")), "{letters:?}");
    for letter in &letters {
        world.app.store.redrive_dead_letter(letter.id, Timestamp::now()).await.unwrap();
    }
    world.settle(2).await;
    assert_eq!(world.progress(&operation).await.0.done, 10, "it goes on where it was given up");
    assert_eq!(world.history(runs[3]).await, [StateType::Running]);
    assert_eq!(world.app.store.dead_letters(all).await.unwrap(), []);
}

#[tokio::test]
async fn the_fill_of_tallies_looks_at_all_runs_in_steps_and_ends() {
    let mut world = world(&Faults::default()).await;
    world.add_runs(401).await;
    world.app.store.begin_tally_fill(Timestamp::now()).await.unwrap();
    world.app.store.begin_tally_fill(Timestamp::now()).await.unwrap();
    world.settle(3).await;
    let fill = world.app.store.tally_fill().await.unwrap().unwrap().record;
    assert!(fill.is_complete() && fill.marked == 0, "every write of this version marks what it writes: {fill:?}");
}
