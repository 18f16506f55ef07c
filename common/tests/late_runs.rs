//! Runs that nobody starts in time, on both databases: found once, whatever is killed, repeated, late or turned off.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use common::{
    App, Settings, Store,
    jobs::{
        self, Delivery,
        queue::{Message, Queue},
    },
    model::{FlowId, FlowRun, FlowRunId, State, StateType, TaskRunId, Timestamp, concurrency_limit::LongestWaits},
    orchestration::Client,
    store::{Shards, Write, access, select::Window, table},
    transitions::{Proposal, propose_flow_run_state},
};
use embedded::{
    EmbeddedDatabase, EmbeddedQueue,
    decorators::Failing,
    faults::{Fault, Faults},
};
use serde_json::{Value, json};

/// How long a message is hidden: the tests deliver what failed at once.
const HIDDEN: Duration = Duration::ZERO;

/// How many messages are delivered at once.
const AT_ONCE: usize = 10;

/// After how long a run is late to which the tests have given no timer yet, in seconds.
const LONG: f64 = 3_600.0;

/// How many calls fail once the first one has.
const ALL_CALLS: usize = 100;

struct World {
    app: App,
    queue: Queue,
    inbox: EmbeddedQueue,
    /// What calls of the table and of the queue meet in `mortal`.
    faults: Faults,
    mortal: (App, Queue),
}

/// Makes an empty one on the emulator of DynamoDB and one on SQLite.
async fn worlds() -> [World; 2] {
    let (emulator, faults) = (EmbeddedDatabase::in_memory().unwrap(), Faults::default());
    let on = |config: aws_sdk_dynamodb::config::Builder| {
        let config = config.retry_config(RetryConfig::disabled()).build();
        Store::new(aws_sdk_dynamodb::Client::from_conf(config), "any", Shards(3))
    };
    let whole = on(emulator.sdk_config().to_builder());
    let failing = on(EmbeddedDatabase::config_with(faults.before(emulator.http_client())).to_builder());
    let on_emulator = World::new(whole, failing, emulator.queue().unwrap(), faults).await;
    let (file, faults) = (sqlite::Database::in_memory().unwrap(), Faults::default());
    let failing = Store::on(Failing::new(Arc::new(file.clone()), vec![faults.clone()]), Shards(3));
    let on_sqlite = World::new(Store::on(file.clone(), Shards(3)), failing, EmbeddedQueue::new(file.queue()), faults);
    [on_emulator, on_sqlite.await]
}

impl World {
    async fn new(store: Store, failing: Store, inbox: EmbeddedQueue, faults: Faults) -> Self {
        let store = store.guarded();
        store.create_table().await.unwrap();
        let settings = Settings { shards: 3, timers_ahead: 0.0, ..Settings::default() };
        let config = inbox.sdk_config();
        let queue = Queue::new(aws_sdk_sqs::Client::from_conf(config.clone()), "any");
        let client = faults.before(config.http_client().unwrap());
        let config = config.to_builder().http_client(client).retry_config(RetryConfig::disabled()).build();
        let mortal = (App::new(failing, settings.clone()), Queue::new(aws_sdk_sqs::Client::from_conf(config), "any"));
        Self { app: App::new(store, settings), queue, inbox, faults, mortal }
    }

    /// Looks for what is due until a tick has made so many `calls`; after that all fail, the first as `fault` says.
    ///
    /// Returns whether the tick needed no more.
    async fn tick_killed_after(&self, calls: usize, fault: Fault) -> bool {
        for _ in 0..calls {
            self.faults.then_pass();
        }
        self.faults.then(fault);
        for _ in 0..ALL_CALLS {
            self.faults.then(Fault::InternalError);
        }
        let (app, queue) = &self.mortal;
        let outcome = jobs::timers::tick(app, queue).await;
        let is_whole = self.faults.left() == ALL_CALLS + 1;
        assert!(outcome.is_err() || is_whole, "{calls} {fault:?}");
        self.faults.end();
        is_whole
    }

    /// Returns the server on the same table with other settings.
    fn with(&self, change: impl FnOnce(&mut Settings)) -> App {
        let mut settings = (*self.app.settings).clone();
        change(&mut settings);
        App::new(self.app.store.clone(), settings)
    }

    /// Adds a run that has never been in a state.
    async fn add(&self, change: impl FnOnce(&mut FlowRun)) -> FlowRunId {
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "run", Timestamp::now());
        change(&mut run);
        self.app.store.commit(vec![self.app.store.insert(&run).unwrap()]).await.unwrap();
        run.id
    }

    /// Adds a run that was to start so many seconds ago, and was written when that was to come.
    async fn add_waiting(&self, seconds_ago: f64) -> FlowRunId {
        let (run, writes) = self.waiting(seconds_ago, None);
        self.app.store.commit(writes).await.unwrap();
        run
    }

    /// Returns a run that was to start so many seconds ago, with the timer that a scheduler gave it.
    fn waiting(&self, seconds_ago: f64, timer: Option<Timestamp>) -> (FlowRunId, Vec<Write>) {
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "run", Timestamp::now());
        let mut state = State::new(run.id.state_id(1), StateType::Scheduled, ago(seconds_ago));
        state.state_details.scheduled_time = Some(ago(seconds_ago));
        run.next_scheduled_start_time = state.state_details.scheduled_time;
        run.expected_start_time = run.next_scheduled_start_time;
        (run.state_id, run.state_type, run.state_name) = (Some(state.id), Some(state.r#type), Some(state.name.clone()));
        run.state = Some(state);
        let mut writes = self.app.store.remember_state(&mut run, None, timer).unwrap();
        writes.push(self.app.store.insert(&run).unwrap());
        (run.id, writes)
    }

    async fn enter(&self, app: &App, run: FlowRunId, state: Value) {
        let proposal = Proposal::new(serde_json::from_value(state).unwrap(), true, Client::default());
        assert!(propose_flow_run_state(app, run, &proposal).await.unwrap().entered);
    }

    /// Looks for what is due, as the schedule's function may.
    async fn tick_of(&self, app: &App) -> common::Result<()> {
        access::within(jobs::timers::ACCESS, jobs::timers::tick(app, &self.queue)).await
    }

    async fn tick(&self) {
        self.tick_of(&self.app).await.unwrap();
    }

    /// Works off the queue for `app`, where each message is delivered so many `times`; returns the messages.
    async fn settle_of(&self, app: &App, times: usize) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            let received = self.inbox.hand_out(AT_ONCE, HIDDEN).await.unwrap();
            if received.is_empty() {
                return all;
            }
            let messages: Vec<Message> =
                received.iter().map(|received| serde_json::from_str(&received.body).unwrap()).collect();
            let deliveries: Vec<_> = (0..times).flat_map(|_| messages.clone()).map(Delivery::from).collect();
            let failures = jobs::consume(app, &self.queue, &deliveries).await;
            assert!(failures.is_empty(), "{failures:?}");
            for received in &received {
                self.inbox.acknowledge(received).await.unwrap();
            }
            all.extend(messages);
        }
    }

    async fn settle(&self) -> Vec<Message> {
        self.settle_of(&self.app, 1).await
    }

    async fn names(&self, run: FlowRunId) -> Vec<String> {
        let states = self.app.store.flow_run_states(run).await.unwrap();
        states.into_iter().map(|state| state.name).collect()
    }

    async fn assert_late_once(&self, run: FlowRunId) {
        assert_eq!(self.names(run).await, ["Scheduled", "Late"]);
    }

    async fn timers(&self) -> usize {
        let mut count = 0;
        for partition in self.app.store.timer_partitions() {
            count += self.app.store.timers(&partition, None, ago(-1e6), 1_000).await.unwrap().len();
        }
        count
    }

    async fn cursor(&self) -> Option<Timestamp> {
        self.app.store.late_runs_cursor().await.unwrap().map(|cursor| cursor.record.looked_until)
    }

    /// Moves the cursor as a look does that ends now; returns it.
    async fn look_once(&self) -> Timestamp {
        let run = self.add_waiting(20.0).await;
        self.tick().await;
        self.settle().await;
        self.assert_late_once(run).await;
        self.cursor().await.unwrap()
    }

    async fn assert_nothing_failed(&self) {
        assert_eq!(self.app.store.dead_letters(Window { offset: 0, limit: 1 }).await.unwrap(), []);
    }
}

fn ago(seconds: f64) -> Timestamp {
    Timestamp::now().plus_seconds(-seconds)
}

fn scheduled(seconds_ago: f64) -> Value {
    json!({"type": "SCHEDULED", "state_details": {"scheduled_time": ago(seconds_ago)}})
}

#[tokio::test]
async fn a_run_that_nobody_starts_is_late_once_without_a_timer() {
    for world in worlds().await {
        // At the time of writing, all of them were to be late some time later.
        let before = world.with(|settings| settings.late_runs_after = LONG);
        let [late, started, early, retrying] = [(); 4].map(|()| world.add(|_| {}));
        let (late, started, early, retrying) = (late.await, started.await, early.await, retrying.await);
        let subflow = world.add(|run| run.parent_task_run_id = Some(TaskRunId::new())).await;
        for run in [late, started, subflow] {
            world.enter(&before, run, scheduled(20.0)).await;
        }
        world.enter(&before, started, json!({"type": "RUNNING"})).await;
        world.enter(&before, early, scheduled(-LONG)).await;
        let mut again = scheduled(20.0);
        again["name"] = "AwaitingRetry".into();
        world.enter(&before, retrying, again).await;
        assert_eq!(world.timers().await, 0);
        let within = world.app.store.flow_run(subflow).await.unwrap().unwrap().record;
        assert!(!within.past.has_current_apart(), "a subflow's state is in its item");
        for _ in 0..3 {
            world.tick().await;
            world.settle_of(&world.app, 3).await;
        }
        world.assert_late_once(late).await;
        world.assert_late_once(subflow).await;
        assert_eq!(world.names(started).await, ["Scheduled", "Running"]);
        assert_eq!(world.names(early).await, ["Scheduled"]);
        assert_eq!(world.names(retrying).await, ["AwaitingRetry"]);
        assert_eq!(world.timers().await, 0);
        world.assert_nothing_failed().await;
    }
}

#[tokio::test]
async fn a_run_is_marked_at_the_time_that_it_is_late() {
    for world in worlds().await {
        let hasty = world.with(|settings| (settings.late_runs_after, settings.timers_ahead) = (1.0, 75.0));
        let run = world.add(|_| {}).await;
        world.enter(&hasty, run, scheduled(0.0)).await;
        assert_eq!(world.timers().await, 0);
        world.tick_of(&hasty).await.unwrap();
        world.settle_of(&hasty, 2).await;
        assert_eq!(world.names(run).await, ["Scheduled"]);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        world.settle_of(&hasty, 2).await;
        world.assert_late_once(run).await;
    }
}

#[tokio::test]
async fn a_run_that_is_written_behind_the_cursor_has_a_timer() {
    for world in worlds().await {
        world.look_once().await;
        let (run, subflow) =
            (world.add(|_| {}).await, world.add(|run| run.parent_task_run_id = Some(TaskRunId::new())).await);
        world.enter(&world.app, run, scheduled(1_000.0)).await;
        world.enter(&world.app, subflow, scheduled(1_000.0)).await;
        assert_eq!(world.timers().await, 2);
        world.tick().await;
        world.settle_of(&world.app, 2).await;
        world.assert_late_once(run).await;
        world.assert_late_once(subflow).await;
        assert_eq!(world.timers().await, 0);
    }
}

#[tokio::test]
async fn a_timer_of_an_older_version_still_fires() {
    for world in worlds().await {
        let (run, writes) = world.waiting(1_000.0, Some(ago(985.0)));
        world.look_once().await;
        world.app.store.commit(writes).await.unwrap();
        world.tick().await;
        world.settle_of(&world.app, 2).await;
        world.assert_late_once(run).await;
        assert_eq!(world.timers().await, 0);
    }
}

#[tokio::test]
async fn a_run_that_appears_behind_the_cursor_is_found_for_two_minutes() {
    for world in worlds().await {
        world.look_once().await;
        let (lagging, too_old) = (world.add_waiting(120.0).await, world.add_waiting(150.0).await);
        world.tick().await;
        world.settle().await;
        world.assert_late_once(lagging).await;
        assert_eq!(world.names(too_old).await, ["Scheduled"]);
    }
}

#[tokio::test]
async fn a_late_run_that_still_waits_is_not_read_again() {
    for world in worlds().await {
        let run = world.add_waiting(1_000.0).await;
        world.tick().await;
        assert!(!world.settle().await.is_empty(), "without a cursor the look begins with the first run");
        world.assert_late_once(run).await;
        let cursor = world.cursor().await;
        world.tick().await;
        assert_eq!(world.settle().await, []);
        assert_eq!(world.cursor().await, cursor, "where nothing is found, nothing is written");
    }
}

#[tokio::test]
async fn a_tick_that_is_killed_anywhere_loses_nothing() {
    for backend in 0..2 {
        for fault in [Fault::InternalError, Fault::AnswerLost] {
            for calls in 0.. {
                let world = worlds().await.into_iter().nth(backend).unwrap();
                let runs = [world.add_waiting(20.0).await, world.add_waiting(1_000.0).await];
                let is_whole = world.tick_killed_after(calls, fault).await;
                if world.cursor().await.is_some() {
                    // Whatever the cursor is beyond is in the queue.
                    world.settle().await;
                    for run in runs {
                        world.assert_late_once(run).await;
                    }
                }
                world.tick().await;
                world.settle().await;
                for run in runs {
                    world.assert_late_once(run).await;
                }
                if is_whole {
                    assert!(calls >= 9, "six queries, the queue, and the cursor before and after them: {calls}");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn the_cursor_stays_while_the_queue_takes_no_message() {
    for world in worlds().await {
        let run = world.add_waiting(20.0).await;
        for _ in 0..ALL_CALLS {
            world.faults.then(Fault::InternalError);
        }
        for _ in 0..2 {
            jobs::timers::tick(&world.app, &world.mortal.1).await.unwrap_err();
            assert_eq!(world.cursor().await, None);
        }
        world.faults.end();
        jobs::timers::tick(&world.app, &world.mortal.1).await.unwrap();
        assert!(world.cursor().await.is_some());
        world.settle().await;
        world.assert_late_once(run).await;
    }
}

#[tokio::test]
async fn a_run_that_cannot_be_marked_yet_has_a_message_of_its_own() {
    for world in worlds().await {
        let mut runs = Vec::new();
        for _ in 0..12 {
            runs.push(world.add_waiting(20.0).await);
        }
        world.tick().await;
        let received = world.inbox.hand_out(AT_ONCE, Duration::from_mins(1)).await.unwrap();
        for received in &received {
            // The runs of the partition are found and read, and then one of them can't be.
            world.faults.then_pass().then_pass().then(Fault::InternalError);
            let message: Message = serde_json::from_str(&received.body).unwrap();
            assert!(jobs::consume(&world.mortal.0, &world.queue, &[message.into()]).await.is_empty());
            assert_eq!(world.faults.left(), 0);
            world.inbox.acknowledge(received).await.unwrap();
        }
        let is_own = |message: &Message| matches!(message, Message::Timer { .. });
        let sent = world.settle().await;
        assert!(sent.len() >= received.len() && sent.iter().all(is_own), "{sent:?}");
        for run in runs {
            world.assert_late_once(run).await;
        }
    }
}

#[tokio::test]
async fn ticks_at_once_find_a_run_once() {
    for world in worlds().await {
        let run = world.add_waiting(20.0).await;
        for _ in 0..2 {
            let ticks = (0..4).map(|_| world.tick_of(&world.app));
            futures::future::try_join_all(ticks).await.unwrap();
            world.settle_of(&world.app, 2).await;
            world.assert_late_once(run).await;
        }
        world.assert_nothing_failed().await;
    }
}

#[tokio::test]
async fn a_run_that_has_left_the_state_meanwhile_is_let_be() {
    for world in worlds().await {
        let [started, deleted, moved] =
            [world.add_waiting(20.0).await, world.add_waiting(20.0).await, world.add_waiting(20.0).await];
        world.tick().await;
        world.enter(&world.app, started, json!({"type": "RUNNING"})).await;
        world.app.store.delete_flow_run(deleted, Timestamp::now(), LongestWaits::default()).await.unwrap();
        world.enter(&world.app, moved, scheduled(-LONG)).await;
        world.settle_of(&world.app, 2).await;
        assert_eq!(world.names(started).await, ["Scheduled", "Running"]);
        assert_eq!(world.names(moved).await, ["Scheduled", "Scheduled"]);
        // So does the message that waits for its time.
        for run in [started, deleted, moved] {
            let message = Message::Timer { of: table::flow_run(run) };
            assert!(jobs::consume(&world.app, &world.queue, &[message.into()]).await.is_empty());
        }
        assert_eq!(world.names(started).await, ["Scheduled", "Running"]);
        assert_eq!(world.names(moved).await, ["Scheduled", "Scheduled"]);
        world.assert_nothing_failed().await;
    }
}

#[tokio::test]
async fn what_waited_while_nobody_looked_is_late_when_somebody_does() {
    for world in worlds().await {
        let off = world.with(|settings| settings.late_runs_enabled = false);
        world.look_once().await;
        // Before the cursor, behind it, and so far behind that no look from the cursor on finds it.
        let runs = [world.add(|_| {}).await, world.add(|_| {}).await, world.add(|_| {}).await];
        for (run, seconds_ago) in runs.into_iter().zip([16.0, 20.0, 1_000.0]) {
            world.enter(&off, run, scheduled(seconds_ago)).await;
        }
        world.tick_of(&off).await.unwrap();
        assert_eq!(world.settle_of(&off, 1).await, []);
        for run in runs {
            assert_eq!(world.names(run).await, ["Scheduled"]);
        }
        world.tick().await;
        world.settle_of(&world.app, 2).await;
        for run in runs {
            world.assert_late_once(run).await;
        }
    }
}

#[tokio::test]
async fn runs_may_be_late_sooner_or_later_than_they_were() {
    for world in worlds().await {
        let patient = world.with(|settings| settings.late_runs_after = LONG);
        let cursor = world.look_once().await;
        let run = world.add(|_| {}).await;
        world.enter(&patient, run, scheduled(59.0)).await;
        assert_eq!(world.timers().await, 0);
        world.tick_of(&patient).await.unwrap();
        assert_eq!(world.settle_of(&patient, 1).await, []);
        assert!(world.cursor().await.unwrap() < cursor.plus_seconds(15.0 - LONG + 60.0), "it goes back");
        world.tick().await;
        world.settle().await;
        world.assert_late_once(run).await;
    }
}

#[tokio::test]
async fn a_cursor_of_a_clock_that_was_wrong_keeps_no_run_from_being_found() {
    for world in worlds().await {
        world.look_once().await;
        let read = world.app.store.late_runs_cursor().await.unwrap();
        world.app.store.move_late_runs_cursor(read.as_ref(), ago(-1e6)).await.unwrap();
        let run = world.add_waiting(20.0).await;
        world.tick().await;
        world.settle().await;
        world.assert_late_once(run).await;
        assert!(world.cursor().await.unwrap() < Timestamp::now());
    }
}

#[tokio::test]
async fn a_thousand_runs_that_are_late_at_once_are_marked_page_by_page() {
    for world in worlds().await {
        let mut runs = Vec::new();
        for _ in 0..40 {
            let (some, writes): (Vec<_>, Vec<_>) = (0..25).map(|_| world.waiting(20.0, None)).unzip();
            world.app.store.commit(writes.concat()).await.unwrap();
            runs.extend(some);
        }
        world.tick().await;
        let messages = world.settle().await;
        let mut pages: HashMap<String, usize> = HashMap::new();
        for message in messages {
            let Message::LateRuns { partition, .. } = message else { panic!("{message:?} is none of ours") };
            *pages.entry(partition).or_default() += 1;
        }
        assert!(pages.len() == 3 && pages.values().sum::<usize>() >= 10, "{pages:?}");
        for run in runs {
            world.assert_late_once(run).await;
        }
    }
}
