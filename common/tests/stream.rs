//! The consumer of the table's stream, against the embedded database: duplicates, reordering, crashes, faults.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use common::{
    App, Error, Settings, Store, dead_letters, event_ingestion,
    filter::{EventFilter, observed_state::ObservedStateSort},
    jobs::{
        self,
        queue::{Message, Queue},
    },
    model::{
        Deployment, DeploymentId, Event, Flow, FlowId, FlowRun, FlowRunId, ReceivedEvent, State, StateId, StateType,
        TaskRun, TaskRunId, Timestamp, concurrency_limit::LongestWaits,
    },
    orchestration::Client as ProposingClient,
    store::{Item, Shards, Write, backend::LARGEST_RECORD, event_query::Counting, select::Window, table},
    stream::{Change, consume},
    task_run_creation::{self, NewTaskRun},
    transitions::{Proposal, propose_flow_run_state},
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

struct World {
    app: App,
    queue: Queue,
    database: EmbeddedDatabase,
}

async fn world(faults: &Faults) -> World {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let client = Client::from_conf(EmbeddedDatabase::config_with(faults.before(database.http_client())));
    let settings = Settings { shards: 2, ..Settings::default() };
    let store = Store::new(client, &settings.table, settings.shards);
    store.create_table().await.unwrap();
    let queue = Queue::new(aws_sdk_sqs::Client::from_conf(database.queue().unwrap().sdk_config()), "any");
    World { app: App::new(store, settings), queue, database }
}

impl World {
    /// Reads all of the stream, of which nothing is acknowledged, as a consumer does that starts anew.
    async fn changes(&self) -> Vec<Change> {
        let mut stream = self.database.change_stream(&self.app.settings.table);
        let Ok(records) = tokio::time::timeout(Duration::from_millis(100), stream.next(10_000)).await else {
            return Vec::new();
        };
        let records = records.unwrap();
        records
            .iter()
            .map(|record| {
                Change::from_json(record.keys.clone(), record.old_image.clone(), record.new_image.clone()).unwrap()
            })
            .collect()
    }

    async fn consume(&self, changes: &[Change]) {
        let failures = consume(&self.app, &self.queue, changes).await;
        assert!(failures.is_empty(), "{failures:?}");
    }

    /// Consumes everything, and what follows from it.
    async fn settle(&self) {
        let mut consumed = 0;
        loop {
            let changes = self.changes().await;
            if changes.len() == consumed {
                return;
            }
            self.consume(&changes[consumed..]).await;
            consumed = changes.len();
        }
    }

    async fn events(&self, filter: Value) -> Vec<ReceivedEvent> {
        let mut filter: EventFilter = serde_json::from_value(filter).unwrap();
        filter.resolve(Timestamp::now());
        self.app.store.read_events(&filter, None, 50, Counting::Ahead).await.unwrap().events
    }

    /// Adds a flow run for task runs to belong to.
    async fn flow_run(&self, id: FlowRunId) -> FlowRunId {
        let run = FlowRun::new(id, FlowId::new(), "around", time(0));
        self.app.store.commit(vec![self.app.store.insert(&run).unwrap()]).await.unwrap();
        id
    }

    async fn recorded(&self, id: TaskRunId) -> (Option<TaskRun>, Vec<State>) {
        let run = self.app.store.task_run(id).await.unwrap();
        (run.map(|run| run.record), self.app.store.task_run_states(id).await.unwrap())
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_790_000_000 + seconds) * 1_000_000).unwrap()
}

fn report(
    task_run: TaskRunId,
    flow_run: Option<FlowRunId>,
    seconds: i64,
    r#type: StateType,
    task: &Value,
) -> ReceivedEvent {
    let mut run = json!({
        "name": "add-0", "task_key": "add-1", "dynamic_key": task_run, "tags": ["a"], "run_count": 1,
        "empirical_policy": {"retries": 1, "retry_delay": 0}, "total_run_time": 0.5,
    });
    run.as_object_mut().unwrap().extend(task.as_object().unwrap().clone());
    let related = flow_run.map(
        |id| json!({"prefect.resource.id": format!("prefect.flow-run.{id}"), "prefect.resource.role": "flow-run"}),
    );
    serde_json::from_value(json!({
        "occurred": time(seconds),
        "event": format!("prefect.task-run.{}", r#type.default_name()),
        "resource": {
            "prefect.resource.id": format!("prefect.task-run.{task_run}"),
            "prefect.orchestration": "client",
        },
        "related": related.into_iter().collect::<Vec<_>>(),
        "payload": {
            "validated_state": {"type": r#type, "message": "", "state_details": {}, "data": null},
            "task_run": run,
        },
        "id": Uuid::new_v4(),
        "received": time(seconds + 1),
    }))
    .unwrap()
}

/// The reports of a task run that is retried once: each one says all that the client knows by then.
fn life(task_run: TaskRunId, flow_run: Option<FlowRunId>) -> Vec<ReceivedEvent> {
    let started = json!({"start_time": time(1), "run_count": 1});
    let again = json!({"start_time": time(1), "run_count": 2});
    let ended = json!({"start_time": time(1), "run_count": 2, "end_time": time(4), "total_run_time": 2.5});
    [
        (0, StateType::Pending, json!({"run_count": 0})),
        (1, StateType::Running, started.clone()),
        (2, StateType::Scheduled, started),
        (3, StateType::Running, again),
        (4, StateType::Completed, ended),
    ]
    .into_iter()
    .map(|(seconds, r#type, task)| report(task_run, flow_run, seconds, r#type, &task))
    .collect()
}

fn change(event: &ReceivedEvent) -> Change {
    let item = Item::of(event, 1, Shards(2)).unwrap();
    Change { key: item.key.clone(), before: None, after: Some(item) }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// The run without the time at which the first of its reports was recorded, which is when it was.
fn timeless(mut run: TaskRun) -> TaskRun {
    run.created = time(0);
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// In whatever order, how often and in which batches the reports come, the run and its history are the same.
    #[test]
    fn a_task_run_does_not_depend_on_how_its_reports_arrive(
        order in Just((0..10).collect::<Vec<usize>>()).prop_shuffle(),
        repeated in prop::collection::vec(0usize..10, 0..10),
        batches in prop::collection::vec(1usize..6, 1..20),
        has_flow_run in any::<bool>(),
    ) {
        block_on(async {
            let flow_run = has_flow_run.then(FlowRunId::new);
            let ids = [TaskRunId::new(), TaskRunId::new()];
            let events: Vec<ReceivedEvent> = ids.iter().flat_map(|id| life(*id, flow_run)).collect();
            let (straight, shuffled) = (world(&Faults::default()).await, world(&Faults::default()).await);
            if let Some(id) = flow_run {
                straight.flow_run(id).await;
                shuffled.flow_run(id).await;
            }
            for event in &events {
                straight.consume(&[change(event)]).await;
            }
            let mut arriving = order.iter().chain(&repeated).map(|place| change(&events[*place])).collect::<Vec<_>>();
            for size in batches.into_iter().cycle() {
                if arriving.is_empty() {
                    break;
                }
                let batch: Vec<Change> = arriving.drain(..size.min(arriving.len())).collect();
                shuffled.consume(&batch).await;
            }
            for id in ids {
                let ((run, states), (expected, history)) = (shuffled.recorded(id).await, straight.recorded(id).await);
                assert_eq!(run.map(timeless), expected.map(timeless));
                assert_eq!(states, history);
                assert_eq!(history.len(), 5);
            }
        });
    }
}

/// The reports of a retried task run, each naming the one before, from hosts whose clocks are off by so many seconds.
fn skewed_life(task_run: TaskRunId, skews: &[i64]) -> Vec<ReceivedEvent> {
    let mut events = life(task_run, None);
    let mut before = None;
    for (event, skew) in events.iter_mut().zip(skews) {
        event.occurred = event.occurred.plus_seconds(f64::from(i32::try_from(*skew).unwrap()));
        event.follows = before.replace(event.id);
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the clocks of the hosts say, and however the reports arrive, the run ends as its last report says.
    #[test]
    fn a_task_run_is_ordered_by_what_its_reports_follow(
        skews in prop::collection::vec(-9i64..10, 5),
        order in Just((0..5).collect::<Vec<usize>>()).prop_shuffle(),
        repeated in prop::collection::vec(0usize..5, 0..5),
        size in 1usize..6,
    ) {
        block_on(async {
            let (world, id) = (world(&Faults::default()).await, TaskRunId::new());
            let events = skewed_life(id, &skews);
            let arriving: Vec<Change> = order.iter().chain(&repeated).map(|place| change(&events[*place])).collect();
            for batch in arriving.chunks(size) {
                world.consume(batch).await;
            }
            let (run, states) = world.recorded(id).await;
            let run = run.unwrap();
            assert_eq!(run.state_id.map(|id| id.0), events.last().map(|event| event.id.0));
            assert_eq!((run.run_count, run.end_time), (2, Some(time(4))));
            let told: Vec<_> = states.iter().map(|state| state.id.0).collect();
            assert_eq!(told, events.iter().map(|event| event.id.0).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_run_is_what_its_last_report_says() {
    block_on(async {
        let (world, id) = (world(&Faults::default()).await, TaskRunId::new());
        let flow_run = world.flow_run(FlowRunId::new()).await;
        let events = life(id, Some(flow_run));
        world.consume(&events.iter().map(change).collect::<Vec<_>>()).await;
        let (run, states) = world.recorded(id).await;
        let run = run.unwrap();
        assert_eq!(run.state_type, Some(StateType::Completed));
        assert_eq!(run.state_id.map(|id| id.0), Some(events[4].id.0));
        assert_eq!((run.flow_run_id, run.run_count, run.end_time), (Some(flow_run), 2, Some(time(4))));
        assert_eq!(run.total_run_time.as_micros(), 2_500_000);
        assert_eq!(run.state.as_ref(), states.last());
        assert_eq!(states[0].state_details.task_run_id, Some(id));
    });
}

#[test]
fn a_late_report_changes_only_the_history() {
    block_on(async {
        let (world, id) = (world(&Faults::default()).await, TaskRunId::new());
        let events = life(id, None);
        world.consume(&[change(&events[4])]).await;
        let (ended, _) = world.recorded(id).await;
        let late = report(id, None, 2, StateType::Running, &json!({"name": "late", "task_version": "0"}));
        world.consume(&[change(&late)]).await;
        let (run, states) = world.recorded(id).await;
        let answered = |run: Option<TaskRun>| run.map(|run| run.with_estimates(time(9)));
        assert_eq!(answered(run), answered(ended));
        assert_eq!(
            states.iter().map(|state| state.r#type).collect::<Vec<_>>(),
            [StateType::Running, StateType::Completed]
        );
    });
}

/// As an earlier version wrote it, each state is an item, and the run remembers none.
#[test]
fn a_run_whose_states_are_apart_goes_on() {
    block_on(async {
        let (world, id) = (world(&Faults::default()).await, TaskRunId::new());
        let (store, first) = (&world.app.store, State::new(StateId::new(), StateType::Pending, time(0)));
        let mut run = TaskRun::new(id, "add-1", id.to_string(), "add-0", time(0));
        (run.state_id, run.state_type, run.state) = (Some(first.id), Some(first.r#type), Some(first.clone()));
        let apart = store.put_state(table::task_run(id), &first, None).unwrap();
        store.commit(vec![store.insert(&run).unwrap(), apart]).await.unwrap();
        for (seconds, r#type) in [(2, StateType::Completed), (1, StateType::Running), (3, StateType::Crashed)] {
            world.consume(&[change(&report(id, None, seconds, r#type, &json!({})))]).await;
        }
        let (run, states) = world.recorded(id).await;
        assert_eq!(run.unwrap().state_type, Some(StateType::Crashed));
        let types: Vec<_> = states.iter().map(|state| state.r#type).collect();
        assert_eq!(types, [StateType::Pending, StateType::Running, StateType::Completed, StateType::Crashed]);
        assert_eq!(store.task_run_state(first.id).await.unwrap(), Some(first));
    });
}

#[test]
fn a_claim_without_a_run_gives_the_next_one_its_id() {
    block_on(async {
        for is_reported in [true, false] {
            let world = world(&Faults::default()).await;
            let flow_run = world.flow_run(FlowRunId::new()).await;
            let (claimed, other) = (TaskRunId::new(), TaskRunId::new());
            let claim = world.app.store.claim(table::unique_task_run(Some(flow_run), "shared", "0"), claimed).unwrap();
            world.app.store.commit(vec![claim]).await.unwrap();
            if is_reported {
                let keys = json!({"task_key": "shared", "dynamic_key": "0"});
                world.consume(&[change(&report(other, Some(flow_run), 1, StateType::Pending, &keys))]).await;
            } else {
                let mut run = TaskRun::new(other, "shared", "0", "shared-0", time(0));
                run.flow_run_id = Some(flow_run);
                let state = State::new(StateId::new(), StateType::Pending, time(1));
                let new = NewTaskRun { run, state };
                let made = task_run_creation::create(&world.app, &new, &ProposingClient::default()).await.unwrap();
                assert_eq!((made.run.id, made.is_new), (claimed, true));
            }
            let (run, states) = world.recorded(claimed).await;
            assert_eq!(run.unwrap().state_type, Some(StateType::Pending));
            assert_eq!(states.len(), 1);
            assert_eq!(world.recorded(other).await, (None, Vec::new()));
        }
    });
}

#[test]
fn a_claim_without_a_run_is_nothing_to_record_for() {
    block_on(async {
        let (world, id) = (world(&Faults::default()).await, TaskRunId::new());
        let gone = FlowRunId::new();
        let claim = world.app.store.claim(table::unique_task_run(Some(gone), "shared", "0"), id).unwrap();
        world.app.store.commit(vec![claim]).await.unwrap();
        let keys = json!({"task_key": "shared", "dynamic_key": "0"});
        world.consume(&[change(&report(id, Some(gone), 1, StateType::Pending, &keys))]).await;
        assert_eq!(world.recorded(id).await, (None, Vec::new()));
    });
}

#[test]
fn a_reported_state_is_found_by_its_id() {
    block_on(async {
        let (world, first, second) = (world(&Faults::default()).await, TaskRunId::new(), TaskRunId::new());
        let flow_run = world.flow_run(FlowRunId::new()).await;
        let keys = json!({"task_key": "shared", "dynamic_key": "0"});
        let mut events: Vec<ReceivedEvent> = [first, second]
            .into_iter()
            .flat_map(|id| [StateType::Pending, StateType::Running, StateType::Completed].map(|state| (id, state)))
            .zip(0..)
            .map(|((id, state), seconds)| report(id, Some(flow_run), seconds, state, &keys))
            .collect();
        let own = Uuid::new_v4();
        events[1].payload["validated_state"]["id"] = json!(own);
        let ids: Vec<StateId> = events.iter().map(|event| StateId(event.id.0)).collect();
        world.app.store.add_events(&events, 315_360_000).await.unwrap();
        world.consume(&events.iter().map(change).collect::<Vec<_>>()).await;
        let (run, states) = world.recorded(first).await;
        assert_eq!((run.unwrap().state_id, states.len()), (Some(ids[5]), 6));
        let found = async |id: StateId| world.app.store.task_run_state(id).await.unwrap().map(|state| state.id);
        for id in [ids[0], StateId(own), ids[2], ids[3], ids[4], ids[5]] {
            assert_eq!(found(id).await, Some(id));
        }
        assert_eq!(found(ids[1]).await, None, "the event has another id than its state");
        world
            .app
            .store
            .commit(events.iter().map(|event| Write::Delete(table::event(event.id))).collect())
            .await
            .unwrap();
        for id in [StateId(own), ids[5]] {
            assert_eq!(found(id).await, Some(id), "the last one is found without its event");
        }
    });
}

#[test]
fn of_one_instant_the_report_that_follows_is_newer() {
    block_on(async {
        for order in [[0, 1], [1, 0]] {
            let (world, id) = (world(&Faults::default()).await, TaskRunId::new());
            let first = report(id, None, 1, StateType::Running, &json!({}));
            let mut second = report(id, None, 1, StateType::Completed, &json!({}));
            second.follows = Some(first.id);
            let events = [first, second];
            for place in order {
                world.consume(&[change(&events[place])]).await;
            }
            assert_eq!(world.recorded(id).await.0.unwrap().state_type, Some(StateType::Completed), "{order:?}");
        }
    });
}

#[test]
fn a_task_run_keeps_its_first_id_under_its_keys() {
    block_on(async {
        let world = world(&Faults::default()).await;
        let flow_run = world.flow_run(FlowRunId::new()).await;
        let (first, second) = (TaskRunId::new(), TaskRunId::new());
        let keys = json!({"task_key": "shared", "dynamic_key": "0"});
        world.consume(&[change(&report(first, Some(flow_run), 1, StateType::Pending, &keys))]).await;
        world.consume(&[change(&report(second, Some(flow_run), 2, StateType::Running, &keys))]).await;
        let (run, states) = world.recorded(first).await;
        assert_eq!(run.unwrap().state_type, Some(StateType::Running));
        assert!(states.iter().all(|state| state.state_details.task_run_id == Some(first)));
        assert_eq!(states.len(), 2);
        assert_eq!(world.recorded(second).await, (None, Vec::new()));
    });
}

#[test]
fn reports_that_make_no_sense_hold_up_nothing() {
    block_on(async {
        let (world, broken, good) = (world(&Faults::default()).await, TaskRunId::new(), TaskRunId::new());
        let with = |payload: Value| ReceivedEvent {
            payload: payload.as_object().unwrap().clone(),
            ..report(broken, None, 1, StateType::Running, &json!({}))
        };
        let task_run = json!({"task_key": "a", "dynamic_key": "b"});
        let mut changes: Vec<Change> = [
            json!({}),
            json!({"validated_state": {"type": "DONE"}, "task_run": task_run}),
            json!({"validated_state": {"type": "RUNNING"}}),
            json!({"validated_state": {"type": "RUNNING"}, "task_run": {"task_key": "a"}}),
            json!({"validated_state": {"type": "RUNNING"}, "task_run": {"task_key": "a", "dynamic_key": "b", "tags": 5}}),
        ]
        .into_iter()
        .map(|payload| change(&with(payload)))
        .collect();
        changes.push(change(&report(good, None, 1, StateType::Running, &json!({}))));
        world.consume(&changes).await;
        assert_eq!(world.recorded(broken).await, (None, Vec::new()));
        assert!(world.recorded(good).await.0.is_some());
    });
}

#[test]
fn nothing_is_recorded_for_a_flow_run_that_is_gone() {
    block_on(async {
        let (world, known, late) = (world(&Faults::default()).await, TaskRunId::new(), TaskRunId::new());
        let flow_run = world.flow_run(FlowRunId::new()).await;
        let events = life(known, Some(flow_run));
        world.consume(&[change(&events[0])]).await;
        assert!(world.app.store.delete_flow_run(flow_run, Timestamp::now(), LongestWaits::default()).await.unwrap());
        world.settle().await;
        world.consume(&[change(&events[1]), change(&life(late, Some(flow_run))[0])]).await;
        assert_eq!(world.recorded(known).await, (None, Vec::new()));
        assert_eq!(world.recorded(late).await, (None, Vec::new()));
    });
}

async fn started_run(world: &World) -> (Flow, FlowRun) {
    let now = Timestamp::now();
    let mut flow = Flow::new(FlowId::new(), "a flow".to_owned(), now);
    flow.tags = vec!["flow-tag".into()];
    let (flow, _) = world.app.store.add_flow(flow).await.unwrap();
    let run = FlowRun::new(FlowRunId::new(), flow.id, "emitting", now);
    world.app.store.commit(vec![world.app.store.insert(&run).unwrap()]).await.unwrap();
    for r#type in ["PENDING", "RUNNING", "COMPLETED"] {
        let state = serde_json::from_value(json!({"type": r#type, "message": "on"})).unwrap();
        let proposal = Proposal::new(state, false, ProposingClient::default());
        assert!(propose_flow_run_state(&world.app, run.id, &proposal).await.unwrap().entered);
    }
    (flow, run)
}

#[test]
fn every_change_of_a_flow_runs_state_is_an_event() {
    block_on(async {
        let world = world(&Faults::default()).await;
        let (flow, run) = started_run(&world).await;
        world.settle().await;
        let states = world.app.store.flow_run_states(run.id).await.unwrap();
        let filter = json!({"resource": {"id": [format!("prefect.flow-run.{}", run.id)]}, "order": "ASC"});
        let events = world.events(filter).await;
        let names: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
        assert_eq!(names, ["prefect.flow-run.Pending", "prefect.flow-run.Running", "prefect.flow-run.Completed"]);
        assert!(events.iter().zip(&states).all(|(event, state)| event.id.0 == state.id.0));
        assert_eq!(events[0].follows, None);
        assert_eq!(events[2].follows, Some(events[1].id));
        assert_eq!(events[2].payload["initial_state"], json!({"type": "RUNNING", "name": "Running", "message": "on"}));
        assert_eq!(events[2].related[0].resource().id(), format!("prefect.flow.{}", flow.id));
        assert_eq!(events[2].related[1].resource().id(), "prefect.tag.flow-tag");
    });
}

/// Lets a flow run make so many transitions, more than its item holds states, and deletes it before any is told of, or
/// lets it expire.
async fn short_run(world: &World, transitions: usize, expires: bool) -> FlowRunId {
    let run = FlowRun::new(FlowRunId::new(), FlowId::new(), "short", Timestamp::now());
    world.app.store.commit(vec![world.app.store.insert(&run).unwrap()]).await.unwrap();
    for number in 0..transitions {
        let state = serde_json::from_value(json!({"type": "RUNNING", "name": format!("Step {number}")})).unwrap();
        let proposal = Proposal::new(state, true, ProposingClient::default());
        assert!(propose_flow_run_state(&world.app, run.id, &proposal).await.unwrap().entered);
    }
    if expires {
        // Nobody deletes what belongs to it, but the consumer.
        world.app.store.commit(vec![Write::Delete(table::flow_run(run.id))]).await.unwrap();
    } else {
        assert!(world.app.store.delete_flow_run(run.id, Timestamp::now(), LongestWaits::default()).await.unwrap());
    }
    run.id
}

#[test]
fn the_events_of_a_deleted_flow_run_are_found_in_whichever_order_the_stream_tells_and_however_often() {
    block_on(async {
        for (is_reversed, expires) in [(false, false), (true, false), (true, true)] {
            let world = world(&Faults::default()).await;
            let run = short_run(&world, 12, expires).await;
            let in_order = |mut changes: Vec<Change>| {
                if is_reversed {
                    changes.reverse();
                }
                changes
            };
            let mut consumed = 0;
            for _ in 0..2 {
                loop {
                    let changes = world.changes().await;
                    if changes.len() == consumed {
                        break;
                    }
                    world.consume(&in_order(changes[consumed..].to_vec())).await;
                    consumed = changes.len();
                }
                assert!(world.app.store.flow_run_states(run).await.unwrap().is_empty());
                let of_run = json!({"order": "ASC", "resource": {"id": [format!("prefect.flow-run.{run}")]}});
                let events = world.events(of_run).await;
                let names: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
                let expected: Vec<String> = (0..12).map(|number| format!("prefect.flow-run.Step {number}")).collect();
                assert_eq!(names, expected, "{is_reversed}");
                let by_time = json!({"order": "ASC", "event": {"prefix": ["prefect.flow-run."]}});
                assert_eq!(world.events(by_time).await, events);
                for event in &events {
                    assert_eq!(world.app.store.event(event.id).await.unwrap().as_ref(), Some(event));
                }
                // All of it once more.
                world.consume(&in_order(world.changes().await)).await;
            }
        }
    });
}

#[test]
fn a_flow_says_that_it_is_made_changed_and_deleted() {
    block_on(async {
        let world = world(&Faults::default()).await;
        let (flow, _) = world.app.store.add_flow(Flow::new(FlowId::new(), "a flow", Timestamp::now())).await.unwrap();
        let retag = |flow: &mut Flow| {
            (flow.tags, flow.updated) = (vec!["new".into()], Timestamp::now());
            Ok(())
        };
        world.app.store.update(flow.id, retag).await.unwrap();
        world.app.store.delete::<Flow>(flow.id).await.unwrap();
        world.settle().await;
        world.consume(&world.changes().await).await;
        let filter = json!({"resource": {"id": [format!("prefect.flow.{}", flow.id)]}, "order": "ASC"});
        let names: Vec<String> = world.events(filter).await.into_iter().map(|event| event.event).collect();
        assert_eq!(names, ["prefect.flow.created", "prefect.flow.updated", "prefect.flow.deleted"]);
    });
}

#[test]
fn a_change_of_a_run_that_is_none_of_its_state_is_no_event() {
    block_on(async {
        let world = world(&Faults::default()).await;
        let (_, run) = started_run(&world).await;
        let stored = world.app.store.flow_run(run.id).await.unwrap().unwrap();
        let renamed = FlowRun { name: "renamed".into(), ..stored.record };
        world.app.store.commit(vec![world.app.store.replace(&renamed, stored.version).unwrap()]).await.unwrap();
        world.settle().await;
        assert_eq!(world.events(json!({"event": {"prefix": ["prefect.flow-run."]}})).await.len(), 3);
    });
}

/// A consumer that dies between its work and its acknowledgement finds the same changes again.
#[test]
fn a_batch_that_comes_again_changes_nothing() {
    block_on(async {
        let (world, id) = (world(&Faults::default()).await, TaskRunId::new());
        let (_, run) = started_run(&world).await;
        world.app.store.add_events(&life(id, Some(run.id)), 3_600).await.unwrap();
        world.settle().await;
        let snapshot = async || {
            let events =
                world.events(json!({"occurred": {"since": time(-1_000_000_000), "until": time(1_000_000_000)}})).await;
            (world.recorded(id).await, events, world.app.store.task_run(id).await.unwrap().unwrap().version)
        };
        let before = snapshot().await;
        let changes = world.changes().await;
        world.consume(&changes).await;
        world.consume(&changes).await;
        assert_eq!(snapshot().await, before);
        assert_eq!(before.1.len(), 9);
    });
}

/// States are noted in any order, once or often, together or one by one, and forgotten when they are deleted.
#[test]
fn observed_states_do_not_depend_on_how_changes_arrive() {
    block_on(async {
        let run = table::flow_run(FlowRunId::new());
        let states = [3, 1, 4, 2].map(|seconds| {
            let name = "Walking".to_owned();
            State { name, ..State::new(StateId::new(), StateType::Running, time(seconds)) }
        });
        for (order, batch) in [([0, 1, 2, 3], 4), ([3, 2, 1, 0], 1), ([2, 0, 3, 1], 2), ([1, 3, 0, 2], 3)] {
            let world = world(&Faults::default()).await;
            let store = &world.app.store;
            let mut added = Vec::new();
            for state in order.map(|place| &states[place]) {
                store.commit(vec![store.put_state(run.clone(), state, None).unwrap()]).await.unwrap();
                let item = store.get_item(&table::state(&run, state.timestamp, state.id)).await.unwrap().unwrap();
                added.push(Change { key: item.key.clone(), before: None, after: Some(item) });
            }
            let seen = async || {
                let found = store.observed_states(None, ObservedStateSort::NameAsc, 9).await.unwrap();
                found.into_iter().map(|state| (state.first_seen, state.last_seen)).collect::<Vec<_>>()
            };
            for _ in 0..2 {
                for changes in added.chunks(batch) {
                    world.consume(changes).await;
                }
                assert_eq!(seen().await, [(time(1), time(4))]);
            }
            // The last is deleted, and then all others.
            let is_last = |change: &&Change| change.key == table::state(&run, states[2].timestamp, states[2].id);
            let (last, others): (Vec<&Change>, Vec<&Change>) = added.iter().partition(is_last);
            for (deleted, left) in [(last, vec![(time(1), time(3))]), (others, vec![])] {
                store.commit(deleted.iter().map(|change| Write::Delete(change.key.clone())).collect()).await.unwrap();
                let removed =
                    |change: &&Change| Change { before: change.after.clone(), after: None, key: change.key.clone() };
                world.consume(&deleted.iter().map(removed).collect::<Vec<_>>()).await;
                let look = Message::ObservedState { state_type: StateType::Running, state_name: "Walking".into() };
                for _ in 0..2 {
                    assert!(jobs::consume(&world.app, &world.queue, &[look.clone().into()]).await.is_empty());
                    assert_eq!(seen().await, left);
                }
            }
        }
    });
}

#[test]
fn a_store_that_fails_costs_only_a_repeat() {
    block_on(async {
        let faults = Faults::on("PutItem");
        let (world, id, other) = (world(&faults).await, TaskRunId::new(), TaskRunId::new());
        let [first, second] = [id, other].map(|id| change(&report(id, None, 1, StateType::Running, &json!({}))));
        let batch =
            [change(&report(FlowRunId::new().0.into(), None, 1, StateType::Running, &json!({"tags": 5}))), first];
        for _ in 0..20 {
            faults.then(Fault::Throttled);
        }
        let failures = consume(&world.app, &world.queue, &batch).await;
        assert_eq!(failures.iter().map(|failure| failure.place).collect::<Vec<_>>(), [1]);
        assert!(matches!(failures[0].error, Error::Unavailable(_)));
        while faults.left() > 0 {
            let _ = consume(&world.app, &world.queue, &batch).await;
        }
        faults.then(Fault::AnswerLost).then(Fault::TransactionConflict);
        world.consume(&batch).await;
        world.consume(&[second]).await;
        assert_eq!(world.recorded(id).await.1.len(), 1);
        assert_eq!(world.recorded(other).await.1.len(), 1);
    });
}

#[test]
fn a_deleted_flow_takes_everything_along() {
    block_on(async {
        let (world, id) = (world(&Faults::default()).await, TaskRunId::new());
        let (flow, run) = started_run(&world).await;
        world.app.store.add_events(&life(id, Some(run.id)), 3_600).await.unwrap();
        world.settle().await;
        assert_eq!(world.recorded(id).await.1.len(), 5);
        world.app.store.delete::<Flow>(flow.id).await.unwrap();
        world.settle().await;
        assert!(world.app.store.flow_run(run.id).await.unwrap().is_none());
        assert_eq!(world.app.store.flow_run_states(run.id).await.unwrap(), []);
        assert_eq!(world.recorded(id).await, (None, Vec::new()));
        let of_run = json!({"resource": {"id": [format!("prefect.flow-run.{}", run.id)]}});
        assert_eq!(world.events(of_run).await.len(), 3, "but for events");
        let claim = table::unique_task_run(Some(run.id), "add-1", &id.to_string());
        assert_eq!(world.app.store.owner(&claim).await.unwrap(), None);
    });
}

#[test]
fn a_run_that_came_back_keeps_what_is_its_own() {
    block_on(async {
        let (world, id) = (world(&Faults::default()).await, TaskRunId::new());
        let events = life(id, None);
        world.consume(&[change(&events[0])]).await;
        assert!(world.app.store.delete_task_run(id, Timestamp::now(), LongestWaits::default()).await.unwrap());
        let removal = Change { key: table::task_run(id), before: None, after: None };
        world.consume(&[removal.clone(), change(&events[1])]).await;
        world.consume(&[removal]).await;
        let (run, states) = world.recorded(id).await;
        assert_eq!(run.unwrap().state_type, Some(StateType::Running));
        assert_eq!(states.len(), 1);
    });
}

#[test]
fn services_can_be_switched_off() {
    block_on(async {
        let (mut world, id) = (world(&Faults::default()).await, TaskRunId::new());
        let settings = Settings {
            task_run_recorder_enabled: false,
            event_persister_enabled: false,
            ..(*world.app.settings).clone()
        };
        world.app = App::new(world.app.store.clone(), settings);
        started_run(&world).await;
        let sent: Vec<Event> = life(id, None)
            .iter()
            .map(|event| serde_json::from_value(serde_json::to_value(event).unwrap()).unwrap())
            .collect();
        event_ingestion::receive(&world.app, sent).await.unwrap();
        world.settle().await;
        assert!(world.recorded(id).await.0.is_none());
        assert!(world.events(json!({"event": {"prefix": ["prefect.flow-run."]}})).await.is_empty());
    });
}

#[tokio::test]
async fn a_deployment_that_is_polled_is_told_of_once_as_ready() {
    let world = world(&Faults::default()).await;
    let flow = Flow::new(FlowId::new(), "a flow", Timestamp::now());
    let (flow, _) = world.app.store.add_flow(flow).await.unwrap();
    let deployment = Deployment::new(DeploymentId::new(), &flow, "a deployment", Timestamp::now());
    world.app.store.add_deployment(&deployment, Vec::new()).await.map_err(Error::from).unwrap();
    world.settle().await;
    let told = async || {
        let resource = format!("prefect.deployment.{}", deployment.id);
        let events = world.events(json!({"resource": {"id": [resource]}, "order": "ASC"})).await;
        events.into_iter().map(|event| event.event).collect::<Vec<_>>()
    };
    assert_eq!(told().await, ["prefect.deployment.created"]);
    for _ in 0..2 {
        world.app.store.note_poll_of_deployments(&[deployment.id], Timestamp::now()).await.unwrap();
        world.settle().await;
        assert_eq!(told().await, ["prefect.deployment.created", "prefect.deployment.ready"]);
    }
    world.consume(&world.changes().await).await;
    assert_eq!(told().await.len(), 2, "what is consumed again tells nothing new");
}

#[tokio::test]
async fn a_change_that_panics_is_put_aside_and_its_neighbours_go_on() {
    const FAULTY: &str = "00000000-0000-4000-8000-00000000fa17";
    const ITS_EVENT: &str = "resource#prefect.flow.00000000-0000-4000-8000-00000000fa17";
    let world = world(&Faults::panics("PutItem", ITS_EVENT)).await;
    let change = |name: &str| {
        let id = if name == "faulty" { FAULTY.parse().unwrap() } else { FlowId::new() };
        let flow = Flow::new(id, name, Timestamp::now());
        let after = Item { announced: Some(1), ..Item::of(&flow, 1, Shards(2)).unwrap() };
        Change { key: after.key.clone(), before: None, after: Some(after) }
    };
    let batch = [change("one"), change("faulty"), change("another")];
    for _ in 0..2 {
        world.consume(&batch).await;
    }
    assert_eq!(world.events(json!({"event": {"name": ["prefect.flow.created"]}})).await.len(), 2);
    let letters = world.app.store.dead_letters(Window { offset: 0, limit: 10 }).await.unwrap();
    let [letter] = &letters[..] else { panic!("one change is put aside: {letters:?}") };
    assert_eq!(letter.content["key"]["pk"], batch[1].key.pk);
    assert!(letter.reason.contains("a fault of the test"), "{}", letter.reason);
}

#[tokio::test]
async fn what_fails_for_good_is_put_aside_with_its_content_and_its_neighbours_go_on() {
    let world = world(&Faults::default()).await;
    let flow = Flow::new(FlowId::new(), "a flow", Timestamp::now());
    let good = Item { announced: Some(1), ..Item::of(&flow, 1, Shards(2)).unwrap() };
    let broken = Flow::new(FlowId::new(), "broken", Timestamp::now());
    let bad = Item { announced: Some(1), head: Some("{}".into()), ..Item::of(&broken, 1, Shards(2)).unwrap() };
    let huge = Item { tail: Some(json!({"x": "x".repeat(LARGEST_RECORD)}).to_string()), ..bad.clone() };
    let change = |after: Item| Change { key: after.key.clone(), before: None, after: Some(after) };
    let batch = [change(bad.clone()), change(good), change(huge)];
    for _ in 0..2 {
        world.consume(&batch).await;
    }
    assert_eq!(world.events(json!({"event": {"name": ["prefect.flow.created"]}})).await.len(), 1);
    let window = Window { offset: 0, limit: 10 };
    let letters = world.app.store.dead_letters(window).await.unwrap();
    assert_eq!(letters.len(), 2, "what fails again is the same letter");
    assert!(letters.iter().all(|letter| letter.reason.contains("can't be read")), "{letters:?}");
    let whole = letters.iter().find(|letter| letter.content["after"]["head"] == "{}").unwrap();
    assert_eq!(whole.content["key"]["pk"], bad.key.pk);
    assert!(letters.iter().any(|letter| letter.content["is_cut"] == true), "what is too large is cut");

    world.app.store.redrive_dead_letter(whole.id, Timestamp::now()).await.unwrap();
    dead_letters::redrive(&world.app, &world.queue, whole.id).await.unwrap();
    let again = world.app.store.dead_letter(whole.id).await.unwrap().unwrap().record;
    assert_eq!((again.redrive, again.created), (None, whole.created));
    assert!(again.updated > whole.updated);
    world.app.store.delete_dead_letter(whole.id).await.unwrap();
    assert_eq!(world.app.store.dead_letters(window).await.unwrap().len(), 1);
}
