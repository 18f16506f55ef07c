//! The websocket `/api/work_pools/{name}/workers/connect`: who may have a channel for how long, and what a failure leaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/websocket.rs"]
mod websocket;

use std::time::Duration;

use common::{
    App, Settings,
    domain::access::{Mode, Role},
    model::{
        ApiKey, ApiKeyId, CleanupKind, CleanupMessage, CleanupMessageId, Object, Timestamp, WorkPool, WorkPoolId,
        WorkQueueId, Worker, work_pool::WorkPoolStatus,
    },
    store::{select::Window, work_pools::StoredWorkPool},
};
use embedded::faults::{Fault, Faults};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use websocket::{Socket, authenticate, open, server_with};

const CONSUMER: &str = "01a2034c-a60e-77df-8caf-82a280613781";

/// Far above each time-out that a test sets, so that a busy machine fails none.
const PATIENCE: Duration = Duration::from_secs(20);

/// More failures in a row than the SDK bears by itself.
const PERSISTENT: usize = 5;

fn frame(kind: &str, payload: &Value) -> Message {
    let id = "01a2034c-a60e-77df-8caf-82a280613782";
    Message::text(json!({"type": kind, "id": id, "sent_at": 0, "payload": payload}).to_string())
}

fn hello(changes: &Value) -> Message {
    let mut payload = json!({
        "consumer_id": CONSUMER, "worker_name": "w", "worker_type": "process", "heartbeat_interval_seconds": 30,
        "supported_channel_versions": ["work_pool_worker_channel.v1"],
        "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1", "cleanup_delivery.v1"],
        "handled_cleanup_kinds": ["cancelling_timeout_teardown.v1"],
    });
    for (name, value) in changes.as_object().unwrap() {
        payload[name] = value.clone();
    }
    frame("worker.hello.v1", &payload)
}

fn heartbeat() -> Message {
    let payload = json!({"consumer_id": CONSUMER, "worker_name": "w", "heartbeat_interval_seconds": 30});
    frame("worker.heartbeat.v1", &payload)
}

async fn connect(address: &str, token: Option<&str>, hello: Message) -> Socket {
    let mut socket = open(address, "/work_pools/p/workers/connect").await;
    authenticate(&mut socket, token).await;
    socket.send(hello).await.unwrap();
    socket
}

/// Returns what comes next: a frame, or the code and the reason of the close frame.
async fn next(socket: &mut Socket) -> Result<Value, (u16, String)> {
    loop {
        match timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => return Ok(serde_json::from_str(&text).unwrap()),
            Message::Close(Some(frame)) => return Err((frame.code.into(), frame.reason.to_string())),
            _ => {}
        }
    }
}

fn closed(code: u16, reason: &str) -> Result<Value, (u16, String)> {
    Err((code, reason.to_owned()))
}

async fn is_ready(socket: &mut Socket) -> Value {
    let frame = next(socket).await.unwrap();
    assert_eq!(frame["type"], "worker.ready.v1");
    frame
}

async fn key_of(app: &App, role: Role) -> (ApiKeyId, String) {
    let (record, text) = ApiKey::mint("test".into(), role, None, app.now()).unwrap();
    app.store.add_api_key(&record).await.unwrap();
    (record.id, text)
}

async fn add_pool(app: &App) -> WorkPoolId {
    let now = app.now();
    let pool: WorkPool = serde_json::from_value(json!({
        "id": WorkPoolId::new(), "created": now, "updated": now, "name": "p", "type": "process",
    }))
    .unwrap();
    let (mut pool, queue) = StoredWorkPool::with_default_queue(pool);
    pool.enter(WorkPoolStatus::NotReady, now);
    app.store.add_work_pool(&pool, &queue).await.unwrap();
    pool.pool.id
}

async fn workers(app: &App, pool: WorkPoolId) -> Vec<Worker> {
    app.store.workers(pool, None, Window { offset: 0, limit: 10 }).await.unwrap()
}

fn with_keys() -> Settings {
    Settings { access: Mode::Keys, key_memory: 0.0, ..Settings::default() }
}

#[tokio::test]
async fn a_channel_ends_with_its_key_and_nothing_more_is_written() {
    let (app, address) = server_with(with_keys(), &Faults::default()).await;
    let pool = add_pool(&app).await;
    let (id, key) = key_of(&app, Role::Worker).await;
    let mut socket = connect(&address, Some(&key), hello(&json!({}))).await;
    is_ready(&mut socket).await;
    let before = workers(&app, pool).await;
    app.store.revoke_api_key(id, app.now()).await.unwrap();
    socket.send(heartbeat()).await.unwrap();
    assert_eq!(next(&mut socket).await, closed(1008, "authentication_failed"));
    assert_eq!(workers(&app, pool).await, before);
}

#[tokio::test]
async fn a_workers_key_is_for_pools_that_there_are() {
    let (app, address) = server_with(with_keys(), &Faults::default()).await;
    let (_, worker) = key_of(&app, Role::Worker).await;
    let (_, admin) = key_of(&app, Role::Admin).await;
    let (_, reader) = key_of(&app, Role::ReadOnly).await;
    let template = json!({"job_configuration": {"a": 1}, "variables": {"type": "object"}});
    let making = json!({"create_pool_if_not_found": true});

    let mut socket = connect(&address, Some(&worker), hello(&making)).await;
    assert_eq!(next(&mut socket).await, closed(1008, "authorization_failed"));
    assert!(app.store.work_pool("p").await.unwrap().is_none());
    is_ready(&mut connect(&address, Some(&admin), hello(&making)).await).await;

    let changing = json!({"default_base_job_template": template});
    let mut socket = connect(&address, Some(&worker), hello(&changing)).await;
    assert_eq!(next(&mut socket).await, closed(1008, "authorization_failed"));
    is_ready(&mut connect(&address, Some(&admin), hello(&changing)).await).await;
    is_ready(&mut connect(&address, Some(&worker), hello(&changing)).await).await;

    let mut socket = open(&address, "/work_pools/p/workers/connect").await;
    socket.send(Message::text(json!({"type": "auth", "token": reader}).to_string())).await.unwrap();
    assert_eq!(next(&mut socket).await, closed(1008, "authorization_failed"));
}

#[tokio::test]
async fn a_hello_that_fails_leaves_nothing() {
    let faults = Faults::on("TransactWriteItems");
    let (app, address) = server_with(Settings::default(), &faults).await;
    for _ in 0..PERSISTENT {
        faults.then(Fault::InternalError);
    }
    let making = json!({"create_pool_if_not_found": true});
    let mut socket = connect(&address, None, hello(&making)).await;
    assert_eq!(next(&mut socket).await, closed(1011, "transient_server_error"));
    faults.end();
    assert!(app.store.work_pool("p").await.unwrap().is_none());
    let ready = is_ready(&mut connect(&address, None, hello(&making)).await).await;
    let pool = &ready["payload"]["initial_snapshot"]["work_pool"];
    assert_eq!((&pool["name"], &pool["status"]), (&json!("p"), &json!("READY")));
    assert_eq!(workers(&app, serde_json::from_value(pool["id"].clone()).unwrap()).await.len(), 1);
}

#[tokio::test]
async fn workers_that_make_the_same_pool_at_once_share_it() {
    let (app, address) = server_with(Settings::default(), &Faults::default()).await;
    let making = |number: usize| {
        let address = address.clone();
        let hello = hello(&json!({"create_pool_if_not_found": true, "worker_name": format!("worker {number}")}));
        async move { is_ready(&mut connect(&address, None, hello).await).await }
    };
    let ready = futures::future::join_all((0..8).map(making)).await;
    let pools: Vec<&Value> =
        ready.iter().map(|ready| &ready["payload"]["initial_snapshot"]["work_pool"]["id"]).collect();
    assert!(pools.windows(2).all(|two| two[0] == two[1]), "{pools:?}");
    assert_eq!(workers(&app, serde_json::from_value(pools[0].clone()).unwrap()).await.len(), 8);
}

#[tokio::test]
async fn a_heartbeat_that_cannot_be_written_ends_the_channel() {
    let faults = Faults::on("PutItem");
    let (app, address) = server_with(Settings::default(), &faults).await;
    add_pool(&app).await;
    let mut socket = connect(&address, None, hello(&json!({}))).await;
    is_ready(&mut socket).await;
    for _ in 0..PERSISTENT {
        faults.then(Fault::InternalError);
    }
    socket.send(heartbeat()).await.unwrap();
    assert_eq!(next(&mut socket).await, closed(1011, "heartbeat_persistence_failed"));
}

#[tokio::test]
async fn what_a_worker_has_it_still_has_when_it_comes_again() {
    let (app, address) = server_with(Settings::default(), &Faults::default()).await;
    let pool = add_pool(&app).await;
    let left = |number: u8| CleanupMessage {
        id: CleanupMessageId::new(),
        work_pool_id: pool,
        work_queue_id: Some(WorkQueueId::new()),
        kind: CleanupKind::CancellingTimeoutTeardown,
        target: Object::from_iter([("number".to_owned(), json!(number))]),
        created: Timestamp::now(),
        delivery_count: 0,
        reservation: None,
        check: None,
    };
    for number in [1, 2] {
        app.store.commit(vec![app.store.leave_cleanup(&left(number)).unwrap()]).await.unwrap();
    }
    let mut socket = connect(&address, None, hello(&json!({}))).await;
    is_ready(&mut socket).await;
    let first = next(&mut socket).await.unwrap();
    assert_eq!((&first["type"], &first["payload"]["target"]["number"]), (&json!("cleanup.message.v1"), &json!(1)));
    drop(socket);

    // It takes one at once, and has one: the other waits until it says what has become of that.
    let mut socket = connect(&address, None, hello(&json!({}))).await;
    is_ready(&mut socket).await;
    let mut socket_of_another =
        connect(&address, None, hello(&json!({"consumer_id": "01a2034c-a60e-77df-8caf-82a280613783"}))).await;
    is_ready(&mut socket_of_another).await;
    let second = next(&mut socket_of_another).await.unwrap();
    assert_eq!(second["payload"]["target"]["number"], 2);
    let known = &first["payload"];
    let payload = json!({"message_id": known["message_id"], "reservation_token": known["reservation_token"]});
    socket.send(frame("cleanup.ack.v1", &payload)).await.unwrap();
    let result = next(&mut socket).await.unwrap();
    assert_eq!(
        (&result["type"], &result["payload"]["status"]),
        (&json!("cleanup.operation_result.v1"), &json!("accepted"))
    );
}
