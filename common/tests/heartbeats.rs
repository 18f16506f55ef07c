//! Flow runs that stop to send heartbeats.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use aws_sdk_dynamodb::Client;
use common::{
    App, Settings, Store, event_ingestion,
    jobs::{
        self,
        queue::{Message, Queue},
    },
    model::{Event, EventId, FlowId, FlowRun, FlowRunId, State, StateId, StateType, Timestamp},
    store::table,
    stream::{Change, consume},
};
use embedded::EmbeddedDatabase;
use serde_json::json;

struct World {
    app: App,
    queue: Queue,
    database: EmbeddedDatabase,
}

async fn world(settings: Settings) -> World {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let store = Store::new(Client::from_conf(database.sdk_config()), &settings.table, settings.shards);
    store.create_table().await.unwrap();
    let queue = Queue::new(aws_sdk_sqs::Client::from_conf(database.queue().unwrap().sdk_config()), "any");
    World { app: App::new(store, settings), queue, database }
}

impl World {
    /// Adds a run that has been in this state for ten hours.
    async fn run(&self, r#type: StateType) -> FlowRunId {
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "a run", ago(36_000.0));
        run.state = Some(State::new(StateId::new(), r#type, ago(36_000.0)));
        self.app.store.commit(vec![self.app.store.insert(&run).unwrap()]).await.unwrap();
        run.id
    }

    async fn beats(&self, run: FlowRunId, seconds_ago: &[f64]) {
        let event = |seconds: &f64| -> Event {
            serde_json::from_value(json!({
                "event": "prefect.flow-run.heartbeat", "id": EventId::new(), "occurred": ago(*seconds),
                "resource": {"prefect.resource.id": format!("prefect.flow-run.{run}")},
            }))
            .unwrap()
        };
        event_ingestion::receive(&self.app, seconds_ago.iter().map(event).collect()).await.unwrap();
    }

    async fn consume(&self) {
        let mut stream = self.database.change_stream(&self.app.settings.table);
        let changes: Vec<Change> = stream
            .next(1_000)
            .await
            .unwrap()
            .iter()
            .map(|record| {
                Change::from_json(record.keys.clone(), record.old_image.clone(), record.new_image.clone()).unwrap()
            })
            .collect();
        assert!(consume(&self.app, &self.queue, &changes).await.is_empty());
    }

    async fn look(&self, run: FlowRunId) {
        let message = Message::Timer { of: table::flow_run_pulse(run) };
        assert!(jobs::consume(&self.app, &self.queue, &[message.into()]).await.is_empty());
    }

    async fn state(&self, run: FlowRunId) -> State {
        self.app.store.flow_run(run).await.unwrap().unwrap().record.state.unwrap()
    }

    async fn is_watched(&self, run: FlowRunId) -> bool {
        self.app.store.pulse(run).await.unwrap().is_some()
    }
}

fn ago(seconds: f64) -> Timestamp {
    Timestamp::now().plus_seconds(-seconds)
}

#[tokio::test]
async fn a_run_that_is_silent_for_three_heartbeats_has_crashed() {
    let world = world(Settings::default()).await;
    let (silent, alive) = (world.run(StateType::Running).await, world.run(StateType::Running).await);
    world.beats(silent, &[720.0, 540.0]).await;
    world.beats(alive, &[420.0, 240.0]).await;
    world.consume().await;
    for _ in 0..2 {
        world.look(silent).await;
        world.look(alive).await;
    }
    let state = world.state(silent).await;
    assert_eq!(state.r#type, StateType::Crashed);
    assert_eq!(state.message.as_deref(), Some("The flow run has sent no heartbeat for 540 seconds."));
    assert_eq!(world.state(alive).await.r#type, StateType::Running);
    assert!(world.is_watched(alive).await && !world.is_watched(silent).await);
}

#[tokio::test]
async fn a_consumer_that_is_behind_ends_no_run() {
    let world = world(Settings::default()).await;
    let run = world.run(StateType::Running).await;
    world.beats(run, &[900.0, 720.0]).await;
    world.consume().await;
    // The heartbeat is kept, and nobody has consumed it.
    world.beats(run, &[10.0]).await;
    world.look(run).await;
    assert_eq!(world.state(run).await.r#type, StateType::Running);
    let due = world.app.store.pulse(run).await.unwrap().unwrap().record.due;
    assert!(due > Timestamp::now());
}

#[tokio::test]
async fn only_runs_that_run_and_beat_are_watched() {
    let world = world(Settings::default()).await;
    let (paused, quiet, young) =
        (world.run(StateType::Paused).await, world.run(StateType::Running).await, world.run(StateType::Running).await);
    world.beats(paused, &[9_000.0, 8_000.0]).await;
    // How often it beats is not known yet.
    world.beats(young, &[3_000.0]).await;
    world.consume().await;
    for run in [paused, quiet, young] {
        world.look(run).await;
    }
    assert_eq!(world.state(paused).await.r#type, StateType::Paused);
    assert_eq!(world.state(quiet).await.r#type, StateType::Running);
    assert_eq!(world.state(young).await.r#type, StateType::Running);
    assert!(!world.is_watched(paused).await && !world.is_watched(quiet).await && world.is_watched(young).await);
}

#[tokio::test]
async fn patience_is_a_setting_and_none_watches_where_it_is_off() {
    let world_of = |heartbeat_patience, heartbeats_watched| {
        world(Settings { heartbeat_patience, heartbeats_watched, ..Settings::default() })
    };
    for (patience, watched, expected) in [
        (Some(60.0), true, StateType::Crashed),
        (Some(9e9), true, StateType::Running),
        (None, false, StateType::Running),
    ] {
        let world = world_of(patience, watched).await;
        let run = world.run(StateType::Running).await;
        world.beats(run, &[800.0, 700.0]).await;
        world.consume().await;
        world.look(run).await;
        assert_eq!(world.state(run).await.r#type, expected, "{patience:?}");
    }
}
