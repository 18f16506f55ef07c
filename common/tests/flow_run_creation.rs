//! Making flow runs under idempotency keys against DynamoDB: on bad days, all at once, and where somebody gave up.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use aws_sdk_dynamodb::Client;
use common::{
    App, Settings, Store,
    filter::{FlowRunSort, RunFilters},
    flow_run_creation::{self, Made, NewFlowRun},
    model::{Flow, FlowId, FlowRun, FlowRunId, State, StateType, Timestamp, concurrency_limit::LongestWaits},
    orchestration,
    store::{Shards, flow_runs::KeyHolder, select::Window, table},
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use tokio::task::JoinSet;

const KEY: &str = "order 17";

/// An API on a database of its own, one that meets faults on the same database, and a flow.
struct World {
    app: App,
    bad_day: App,
    faults: Faults,
    flow: Flow,
}

impl World {
    async fn new() -> Self {
        let (database, faults) = (EmbeddedDatabase::in_memory().unwrap(), Faults::on_commits());
        let app = |client| {
            let client = Client::from_conf(EmbeddedDatabase::config_with(client));
            App::new(Store::new(client, "proctor-records", Shards(2)), Settings::default())
        };
        let bad_day = app(faults.before(database.http_client()));
        let app = app(database.http_client());
        app.store.create_table().await.unwrap();
        let (flow, _) = app.store.add_flow(Flow::new(FlowId::new(), "flow", app.now())).await.unwrap();
        Self { app, bad_day, faults, flow }
    }

    fn new_run(&self, name: &str) -> NewFlowRun {
        let (id, now) = (FlowRunId::new(), self.app.now());
        let mut run = FlowRun::new(id, self.flow.id, name, now);
        run.idempotency_key = Some(KEY.to_owned());
        NewFlowRun { run, state: State::new(id.state_id(1), StateType::Scheduled, now) }
    }

    async fn all(&self) -> Vec<FlowRun> {
        let window = Window { offset: 0, limit: 200 };
        self.app.store.flow_runs(&RunFilters::default(), FlowRunSort::StartTimeAsc, window).await.unwrap()
    }

    /// Claims the key for a run that is never written, at a time.
    async fn claim(&self, id: FlowRunId, at: Timestamp) {
        let key = table::unique_flow_run(self.flow.id, KEY);
        let claim = self.app.store.claim_ahead(key, id, at).unwrap();
        self.app.store.commit(vec![claim]).await.unwrap();
    }

    async fn holder(&self) -> KeyHolder {
        self.app.store.flow_run_by_key(self.flow.id, KEY, self.app.now()).await.unwrap()
    }
}

async fn create(app: &App, new: &NewFlowRun) -> Made {
    flow_run_creation::create(app, new, &orchestration::Client::default()).await.unwrap()
}

#[tokio::test]
async fn of_32_requests_with_one_key_one_makes_the_run() {
    let world = World::new().await;
    let mut requests = JoinSet::new();
    for number in 0..32 {
        let (app, new) = (world.app.clone(), world.new_run(&format!("run {number}")));
        requests.spawn(async move { create(&app, &new).await });
    }
    let made = requests.join_all().await;
    let all = world.all().await;
    assert_eq!(all.len(), 1);
    assert!(made.iter().all(|made| made.run.id == all[0].id));
    assert_eq!(made.iter().filter(|made| made.is_new).count(), 1);
}

#[tokio::test]
async fn a_bad_day_neither_doubles_nor_loses_a_run() {
    for fault in [Fault::AnswerLost, Fault::TransactionConflict, Fault::Throttled, Fault::InternalError] {
        // The claim meets it, and then the run.
        for passing in 0..2 {
            let world = World::new().await;
            if passing > 0 {
                world.faults.then_pass();
            }
            world.faults.then(fault);
            let new = world.new_run("run");
            let made = create(&world.bad_day, &new).await;
            assert!(made.is_new, "{fault:?}");
            assert_eq!(world.faults.left(), 0, "{fault:?}");
            let again = create(&world.bad_day, &world.new_run("another")).await;
            assert!(!again.is_new && again.run.id == made.run.id, "{fault:?}");
            assert_eq!(world.all().await.len(), 1, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn who_finds_an_open_claim_makes_the_run_that_it_is_for() {
    let world = World::new().await;
    let slow = world.new_run("slow");
    world.claim(slow.run.id, world.app.now()).await;
    assert!(matches!(world.holder().await, KeyHolder::Promised(id, 1) if id == slow.run.id));
    let fast = create(&world.app, &world.new_run("fast")).await;
    assert!(fast.is_new);
    assert_eq!((fast.run.id, fast.run.name.as_str()), (slow.run.id, "fast"));
    assert_eq!(fast.run.state_id.map(FlowRunId::of_state), Some(slow.run.id));
    // Whoever was slow meets the run that is there.
    let write = world.app.store.insert(&slow.run).unwrap();
    assert!(world.app.store.commit(vec![write]).await.is_err());
    let late = create(&world.app, &slow).await;
    assert!(!late.is_new && late.run.id == fast.run.id);
}

#[tokio::test]
async fn a_claim_that_was_given_up_is_taken_over_under_another_id() {
    let world = World::new().await;
    let gone = FlowRunId::new();
    world.claim(gone, world.app.now().plus_seconds(-3_600.0)).await;
    assert!(matches!(world.holder().await, KeyHolder::Gone(1)));
    let made = create(&world.app, &world.new_run("next")).await;
    assert!(made.is_new && made.run.id != gone);
    assert!(matches!(world.holder().await, KeyHolder::Run(run) if run.id == made.run.id));
}

#[tokio::test]
async fn the_key_of_a_run_that_was_deleted_is_free() {
    let world = World::new().await;
    let made = create(&world.app, &world.new_run("first")).await;
    assert!(world.app.store.delete_flow_run(made.run.id, world.app.now(), LongestWaits::default()).await.unwrap());
    assert!(matches!(world.holder().await, KeyHolder::Nobody));
    let next = create(&world.app, &world.new_run("second")).await;
    assert!(next.is_new && next.run.id != made.run.id);
}
