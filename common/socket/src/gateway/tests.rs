//! The websockets that send, with a gateway that is a map, and the stream's consumer by hand.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::Client;
use embedded::EmbeddedDatabase;
use futures::future::{BoxFuture, join};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use domain::model::{
    CleanupMessage, CleanupMessageId, QueuedTaskRun, ReceivedEvent, State, StateId, StateType, TaskRun, TaskRunId,
    Timestamp, WorkPoolId,
};
use services::{
    connections::{Connections, Gateway, Undelivered},
    jobs::{self, queue::Queue},
    stream::{self, Change},
};
use settings::Settings;
use store::{Store, cost};

/// What each connection was sent; one that is not there is gone.
#[derive(Clone, Debug, Default)]
struct Held(Arc<Mutex<HashMap<String, Vec<String>>>>);

impl Held {
    fn sent(&self, id: &str) -> Vec<String> {
        self.0.lock().unwrap().get(id).cloned().unwrap_or_default()
    }

    fn lose(&self, id: &str) {
        self.0.lock().unwrap().remove(id);
    }
}

impl Gateway for Held {
    fn post<'g>(&'g self, id: &'g str, text: &'g str) -> BoxFuture<'g, Result<(), Undelivered>> {
        Box::pin(async move {
            match self.0.lock().unwrap().get_mut(id) {
                Some(sent) => {
                    sent.push(text.to_owned());
                    Ok(())
                }
                None => Err(Undelivered::Gone),
            }
        })
    }

    fn cut<'g>(&'g self, id: &'g str) -> BoxFuture<'g, Result<()>> {
        Box::pin(async move {
            self.lose(id);
            Ok(())
        })
    }

    fn holds<'g>(&'g self, id: &'g str) -> BoxFuture<'g, Result<bool>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().contains_key(id)) })
    }
}

struct World {
    database: EmbeddedDatabase,
    held: Held,
    queue: Queue,
    app: App,
    sockets: Sockets,
}

impl World {
    async fn new() -> Self {
        let (database, held) = (EmbeddedDatabase::in_memory().unwrap(), Held::default());
        let queue = Queue::new(aws_sdk_sqs::Client::from_conf(database.queue().unwrap().sdk_config()), "any");
        let app = Self::process(&database, &held);
        app.store.create_table().await.unwrap();
        let sockets = Sockets::new(app.clone());
        Self { database, held, queue, app, sockets }
    }

    /// Returns the app of another process.
    fn process(database: &EmbeddedDatabase, held: &Held) -> App {
        let settings = Settings::default();
        let store = Store::new(Client::from_conf(database.sdk_config()), &settings.table, settings.shards);
        App::new(store, settings).reaching(Connections::new(Box::new(held.clone()), Box::new(Protocol)))
    }

    fn another_process(&self) -> App {
        Self::process(&self.database, &self.held)
    }

    async fn open(&self, id: &str, path: &str) {
        let headers = HeaderMap::from_iter([(SEC_WEBSOCKET_PROTOCOL, "prefect".parse().unwrap())]);
        self.held.0.lock().unwrap().insert(id.to_owned(), Vec::new());
        let opened = self.sockets.connect(id, Socket::at(path).unwrap(), &headers).await.unwrap();
        assert_eq!(opened, Answer::Opened(Some("prefect")));
        let welcome = self.sockets.receive(id, r#"{"type":"auth","token":null}"#).await;
        assert_eq!(welcome, Answer::Reply(handshake::SUCCESS.to_owned()));
    }

    async fn say(&self, id: &str, message: &Value) -> Answer {
        self.sockets.receive(id, &message.to_string()).await
    }

    async fn ask_for_events(&self, id: &str, filter: Value) {
        self.open(id, "/events/out").await;
        let asked = self.say(id, &json!({"type": "filter", "filter": filter})).await;
        assert_eq!(asked, Answer::Nothing);
    }

    /// Consumes what was written since the last time, as `app`.
    async fn consume_as(&self, app: &App) -> Vec<Change> {
        let mut records = self.database.change_stream(&app.settings.table).next(1_000).await.unwrap();
        let changes: Vec<Change> = records
            .iter_mut()
            .map(|record| {
                let keys = std::mem::take(&mut record.keys);
                Change::from_json(keys, record.old_image.take(), record.new_image.take()).unwrap()
            })
            .collect();
        let mut stream = self.database.change_stream(&app.settings.table);
        stream.acknowledge(&records).unwrap();
        assert!(stream::consume(app, &self.queue, &changes).await.is_empty());
        changes
    }

    fn told(&self, id: &str) -> Vec<String> {
        let name = |text: String| serde_json::from_str::<Value>(&text).unwrap()["event"]["event"].clone();
        self.held.sent(id).into_iter().map(|text| name(text).as_str().unwrap().to_owned()).collect()
    }

    async fn change(&self, events: &[ReceivedEvent]) -> Vec<Change> {
        self.app.store.add_events(events, 1_000_000).await.unwrap();
        let mut items = Vec::new();
        for event in events {
            items.extend(self.app.store.get_item(&store::table::event(event.id)).await.unwrap());
        }
        items.into_iter().map(|item| Change { key: item.key.clone(), before: None, after: Some(item) }).collect()
    }
}

/// An event that is received some seconds from now.
fn event(name: &str, resource: &str, seconds: f64) -> ReceivedEvent {
    let received = Timestamp::now().plus_seconds(seconds);
    serde_json::from_value(json!({
        "occurred": Timestamp::now(), "event": name, "resource": {"prefect.resource.id": resource},
        "id": Uuid::new_v4(), "received": received,
    }))
    .unwrap()
}

#[tokio::test]
async fn a_client_is_told_once_of_each_event_that_it_wants() {
    let world = World::new().await;
    world.ask_for_events("all", json!({})).await;
    world.ask_for_events("kettle", json!({"resource": {"id": ["kettle"]}})).await;
    world.ask_for_events("tea", json!({"event": {"prefix": ["tea."]}})).await;
    let events =
        [event("kettle.boiled", "kettle", 10.0), event("tea.ready", "pot", 10.0), event("cup.broken", "cup", 10.0)];
    let changes = world.change(&events).await;
    for _ in 0..2 {
        assert!(stream::consume(&world.app, &world.queue, &changes).await.is_empty());
    }
    assert_eq!(world.told("all"), ["kettle.boiled", "tea.ready", "cup.broken"]);
    assert_eq!(world.told("kettle"), ["kettle.boiled"]);
    assert_eq!(world.told("tea"), ["tea.ready"]);
}

#[tokio::test]
async fn what_was_received_before_a_process_knows_of_the_client_is_told_by_the_looks() {
    let world = World::new().await;
    let long_ago = event("kettle.filled", "kettle", -60.0);
    world.change(&[long_ago]).await;
    world
        .ask_for_events(
            "kettle",
            json!({"resource": {"id": ["kettle"]}, "occurred": {"until": "2100-01-01T00:00:00Z"}}),
        )
        .await;
    let just_now = world.change(&[event("kettle.heated", "kettle", 0.5)]).await;
    assert!(stream::consume(&world.app, &world.queue, &just_now).await.is_empty());
    assert_eq!(world.told("kettle"), [""; 0], "the consumer leaves it to a look");
    let found = world.app.store.connection("kettle").await.unwrap().unwrap().record;
    for (look, _) in backfill::looks(&found.subscription.unwrap()) {
        let message = jobs::queue::Message::Backfill { connection: "kettle".into(), look };
        assert!(jobs::consume(&world.app, &world.queue, &[message.into()]).await.is_empty());
    }
    assert_eq!(world.told("kettle"), ["kettle.filled", "kettle.heated"]);
}

#[tokio::test]
async fn nothing_is_read_for_events_of_which_nobody_is_told() {
    let world = World::new().await;
    let events: Vec<ReceivedEvent> = (0..50).map(|n| event("kettle.boiled", &format!("kettle.{n}"), 0.0)).collect();
    let round_trips = async || {
        let told = services::connections::telling::tell_events(&world.app, &events);
        let (told, cost) = cost::measured(told).await;
        told.unwrap();
        cost.round_trips
    };
    assert_eq!((round_trips().await, round_trips().await), (1, 0));
}

#[tokio::test]
async fn only_those_are_looked_at_who_may_be_told() {
    let world = World::new().await;
    for n in 0..30 {
        world.ask_for_events(&format!("c{n}"), json!({"resource": {"id": [format!("kettle.{n}")]}})).await;
    }
    let boiled = [event("kettle.boiled", "kettle.7", 10.0)];
    let told = services::connections::telling::tell_events(&world.app, &boiled);
    let (told, cost) = cost::measured(told).await;
    told.unwrap();
    let read: u64 = cost.plan.values().map(|queried| queried.items).sum();
    assert!(read <= 32, "all places, and one listener: {cost:?}");
    assert_eq!(world.told("c7"), ["kettle.boiled"]);
}

#[tokio::test]
async fn a_connection_that_is_gone_is_taken_out_when_something_is_told() {
    let world = World::new().await;
    world.ask_for_events("gone", json!({"resource": {"id": ["kettle"]}})).await;
    world.ask_for_events("there", json!({"resource": {"id": ["kettle"]}})).await;
    world.held.lose("gone");
    let changes = world.change(&[event("kettle.boiled", "kettle", 10.0)]).await;
    assert!(stream::consume(&world.app, &world.queue, &changes).await.is_empty());
    assert_eq!(world.told("there"), ["kettle.boiled"]);
    assert!(world.app.store.connection("gone").await.unwrap().is_none());
    let interest =
        &domain::interests::of_event_filter(&serde_json::from_value(json!({"resource": {"id": ["kettle"]}})).unwrap())
            [0];
    let left = world.app.store.listeners(interest).await.unwrap();
    assert_eq!(left.iter().map(|listener| listener.connection.as_str()).collect::<Vec<_>>(), ["there"]);
}

async fn queue_run(app: &App, task_key: &str) -> TaskRunId {
    let (id, state_id, now) = (TaskRunId::new(), StateId::new(), app.now());
    let run: TaskRun = serde_json::from_value(json!({
        "id": id, "created": now, "updated": now, "name": "run", "task_key": task_key, "dynamic_key": id,
        "state": State::new(state_id, StateType::Scheduled, now),
    }))
    .unwrap();
    let (task_run_id, task_key) = (id, task_key.to_owned());
    let waits = QueuedTaskRun { task_run_id, task_key, state_id, queued: now, is_retry: false, handed: None };
    let writes = vec![app.store.insert(&run).unwrap(), app.store.queue_task_run(&waits).unwrap()];
    app.store.commit(writes).await.unwrap();
    id
}

fn run_in(text: &str) -> TaskRunId {
    serde_json::from_value(serde_json::from_str::<Value>(text).unwrap()["id"].clone()).unwrap()
}

impl World {
    async fn serve(&self, id: &str) -> Answer {
        self.open(id, "/task_runs/subscriptions/scheduled").await;
        self.say(id, &json!({"type": "subscribe", "keys": ["key", "key"], "client_id": id})).await
    }

    fn handed(&self, id: &str) -> Vec<TaskRunId> {
        self.held.sent(id).iter().map(|text| run_in(text)).collect()
    }
}

#[tokio::test]
async fn a_worker_has_one_run_after_the_other() {
    let world = World::new().await;
    let (first, second) = (queue_run(&world.app, "key").await, queue_run(&world.app, "key").await);
    let Answer::Reply(text) = world.serve("worker").await else { panic!("a run waits") };
    assert_eq!(run_in(&text), first);
    let Answer::Reply(text) = world.say("worker", &json!({"type": "ack"})).await else { panic!("another one waits") };
    assert_eq!(run_in(&text), second);
    assert_eq!(world.say("worker", &json!({"type": "ack"})).await, Answer::Nothing);
    let third = queue_run(&world.app, "key").await;
    world.consume_as(&world.app).await;
    assert_eq!(world.handed("worker"), [third], "a worker that is free is handed what comes");
    queue_run(&world.app, "key").await;
    world.consume_as(&world.app).await;
    assert_eq!(world.handed("worker"), [third], "and nothing before it has acknowledged that");
}

#[tokio::test]
async fn a_run_that_was_not_acknowledged_goes_to_another_worker() {
    let world = World::new().await;
    let run = queue_run(&world.app, "key").await;
    assert!(matches!(world.serve("one").await, Answer::Reply(_)));
    assert_eq!(world.serve("other").await, Answer::Nothing, "the run is the first worker's");
    world.consume_as(&world.app).await;
    world.held.lose("one");
    world.sockets.disconnect("one").await.unwrap();
    world.consume_as(&world.app).await;
    assert_eq!(world.handed("other"), [run]);
}

#[tokio::test]
async fn a_run_of_a_connection_that_nobody_knows_to_be_gone_is_handed_out_by_the_schedule() {
    let world = World::new().await;
    let run = queue_run(&world.app, "key").await;
    assert!(matches!(world.serve("one").await, Answer::Reply(_)));
    assert_eq!(world.serve("other").await, Answer::Nothing);
    world.held.lose("one");
    services::connections::task_runs::look_after(&world.app).await.unwrap();
    assert_eq!(world.handed("other"), [run]);
    assert!(world.app.store.connection("one").await.unwrap().is_none());
}

#[tokio::test]
async fn several_processes_hand_a_run_to_one_worker() {
    let world = World::new().await;
    for n in 0..4 {
        assert_eq!(world.serve(&format!("worker{n}")).await, Answer::Nothing);
    }
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(queue_run(&world.app, "key").await);
    }
    let (one, other, keys) = (world.another_process(), world.another_process(), ["key"].into());
    let handing = |app| services::connections::task_runs::hand_out(app, &keys);
    let (one, other) = join(handing(&one), handing(&other)).await;
    one.and(other).unwrap();
    let mut handed: Vec<TaskRunId> = (0..4).flat_map(|n| world.handed(&format!("worker{n}"))).collect();
    handed.sort();
    runs.sort();
    assert_eq!(handed, runs);
    assert!((0..4).all(|n| world.handed(&format!("worker{n}")).len() <= 1));
}

#[tokio::test]
async fn a_worker_s_channel_goes_on_from_frame_to_frame() {
    let world = World::new().await;
    world.open("worker", "/work_pools/my%20pool/workers/connect").await;
    let consumer = Uuid::new_v4();
    let frame = |kind: &str, payload: Value| json!({"type": kind, "id": consumer, "sent_at": 0, "payload": payload});
    let hello = json!({
        "consumer_id": consumer, "worker_name": "w", "worker_type": "process", "heartbeat_interval_seconds": 5,
        "supported_channel_versions": ["work_pool_worker_channel.v1"], "create_pool_if_not_found": true,
        "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
    });
    assert_eq!(world.say("worker", &frame("worker.hello.v1", hello)).await, Answer::Nothing);
    let sent =
        || -> Vec<Value> { world.held.sent("worker").iter().map(|text| serde_json::from_str(text).unwrap()).collect() };
    assert_eq!(sent()[0]["type"], "worker.ready.v1");
    world.consume_as(&world.app).await;
    let pool: WorkPoolId =
        serde_json::from_value(sent()[0]["payload"]["initial_snapshot"]["work_pool"]["id"].clone()).unwrap();
    let beat = json!({"consumer_id": consumer, "worker_name": "w", "heartbeat_interval_seconds": 5});
    assert_eq!(world.say("worker", &frame("worker.heartbeat.v1", beat.clone())).await, Answer::Nothing);
    let news = |change| (pool, services::live::News { pool: Some(change), cleanup: false });
    let changed = services::live::PoolChange::Changed(1_000);
    services::connections::telling::tell_of_pools(&world.app, &[news(changed)]).await.unwrap();
    let told = sent().pop().unwrap();
    assert_eq!((&told["type"], &told["payload"]["snapshot_sequence"]), (&json!("work_pool.snapshot.v1"), &json!(2)));
    let wrong = json!({"consumer_id": consumer, "worker_name": "another", "heartbeat_interval_seconds": 5});
    assert_eq!(world.say("worker", &frame("worker.heartbeat.v1", wrong)).await, Answer::HangUp);
    assert_eq!(sent().pop().unwrap(), json!({"type": "auth_failure", "reason": "protocol_error"}));
}

#[tokio::test]
async fn a_cleanup_goes_to_a_worker_when_it_is_left_and_the_next_when_the_worker_is_done() {
    let world = World::new().await;
    let consumer = Uuid::new_v4();
    let frame = |kind: &str, payload: Value| json!({"type": kind, "id": consumer, "sent_at": 0, "payload": payload});
    let kind = "cancelling_timeout_teardown.v1";
    let hello = json!({
        "consumer_id": consumer, "worker_name": "w", "worker_type": "process", "heartbeat_interval_seconds": 5,
        "supported_channel_versions": ["work_pool_worker_channel.v1"], "create_pool_if_not_found": true,
        "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1", "cleanup_delivery.v1"],
        "handled_cleanup_kinds": [kind], "max_cleanup_concurrency": 1,
    });
    world.open("worker", "/work_pools/p/workers/connect").await;
    assert_eq!(world.say("worker", &frame("worker.hello.v1", hello)).await, Answer::Nothing);
    world.consume_as(&world.app).await;
    let sent =
        || -> Vec<Value> { world.held.sent("worker").iter().map(|text| serde_json::from_str(text).unwrap()).collect() };
    let pool = &sent()[0]["payload"]["initial_snapshot"]["work_pool"]["id"];
    let mut left = Vec::new();
    for _ in 0..2 {
        let message: CleanupMessage = serde_json::from_value(json!({
            "id": CleanupMessageId::new(), "work_pool_id": pool, "kind": kind, "target": {}, "created": world.app.now(),
            "delivery_count": 0,
        }))
        .unwrap();
        world.app.store.commit(vec![world.app.store.leave_cleanup(&message).unwrap()]).await.unwrap();
        left.push(json!(message.id));
    }
    world.consume_as(&world.app).await;
    let asked = sent().split_off(1);
    assert_eq!(asked.len(), 1, "the worker takes one at a time: {asked:?}");
    let first = &asked[0]["payload"];
    let ack = json!({"message_id": first["message_id"], "reservation_token": first["reservation_token"]});
    assert_eq!(world.say("worker", &frame("cleanup.ack.v1", ack)).await, Answer::Nothing);
    let [result, second] = &sent().split_off(2)[..] else { panic!("a result, and the next cleanup") };
    assert_eq!((&result["payload"]["status"], &second["type"]), (&json!("accepted"), &json!("cleanup.message.v1")));
    let mut asked = vec![first["message_id"].clone(), second["payload"]["message_id"].clone()];
    asked.sort_by_key(Value::to_string);
    left.sort_by_key(Value::to_string);
    assert_eq!(asked, left);
}

#[tokio::test]
async fn a_filter_that_is_wrong_cuts_the_connection() {
    let world = World::new().await;
    for (id, path) in [("e", "/events/out"), ("l", "/logs/out"), ("t", "/task_runs/subscriptions/scheduled")] {
        world.open(id, path).await;
        assert_eq!(world.say(id, &json!({"type": "filter", "filter": {"unknown": 1}})).await, Answer::HangUp, "{path}");
    }
}

#[tokio::test]
async fn a_place_that_nobody_listens_in_any_more_is_looked_at_no_more() {
    let world = World::new().await;
    world.ask_for_events("kettle", json!({"resource": {"id": ["kettle"]}})).await;
    assert_eq!(world.app.store.listened_places().await.unwrap().len(), 1);
    world.sockets.disconnect("kettle").await.unwrap();
    let boiled = [event("kettle.boiled", "kettle", 10.0)];
    services::connections::telling::tell_events(&world.app, &boiled).await.unwrap();
    assert_eq!(world.app.store.listened_places().await.unwrap(), []);
}
