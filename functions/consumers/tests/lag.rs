//! How far the consumers are behind: measured through the embedded stream and queue.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use common::{
    App, Settings, Store,
    http::service,
    jobs::queue::{Message, Queue, QueueLocation},
    model::DeadLetterId,
    store::Shards,
    stream::{Change, consume},
};
use embedded::{
    ChangeStream, EmbeddedDatabase,
    faults::{Fault, Faults},
};
use serde_json::{Value, json};
use tower::ServiceExt;

struct World {
    app: App,
    queue: Queue,
    stream: ChangeStream,
}

impl World {
    async fn new(faults: &Faults) -> Self {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
        let client = Client::from_conf(config);
        let store = Store::new(client, "proctor-records", Shards(2)).guarded();
        store.create_table().await.unwrap();
        let inbox = database.queue().unwrap().sdk_config();
        let queue = Queue::new(aws_sdk_sqs::Client::from_conf(inbox.clone()), "any");
        let app = App::new(store, Settings::default()).measuring_queue(QueueLocation::Embedded(inbox));
        Self { app, queue, stream: database.change_stream("proctor-records") }
    }

    async fn lag(&self) -> Value {
        let router = service(self.app.clone(), consumers::ROUTES.iter().copied());
        let answer = router.oneshot(Request::get("/api/consumers/lag").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap()).unwrap()
    }

    /// Consumes what the stream tells of, as long as it tells of something at once; returns how many changes that were.
    async fn consume(&mut self) -> usize {
        let mut count = 0;
        while let Ok(records) = tokio::time::timeout(Duration::from_millis(100), self.stream.next(100)).await {
            let records = records.unwrap();
            let changes: Vec<Change> = records
                .iter()
                .map(|record| {
                    Change::from_json(record.keys.clone(), record.old_image.clone(), record.new_image.clone()).unwrap()
                })
                .collect();
            let failures = consume(&self.app, &self.queue, &changes).await;
            assert!(failures.is_empty(), "{failures:?}");
            self.stream.acknowledge(&records).unwrap();
            count += changes.len();
        }
        count
    }
}

#[tokio::test]
async fn the_stream_is_measured_by_a_change_that_its_consumer_comes_to() {
    let mut world = World::new(&Faults::default()).await;
    let first = world.lag().await;
    assert!(first["stream"]["unknown"].as_str().unwrap().contains("ask again"), "{first}");
    assert_eq!(world.consume().await, 2, "the change, and that it was consumed");
    let known = world.lag().await;
    let behind = known["stream"]["behind_seconds"].as_f64().unwrap();
    assert!((0.0..2.0).contains(&behind), "{known}");
    assert_eq!((&known["stream"]["unknown"], &known["stream"]["is_at_least"]), (&Value::Null, &json!(false)));
    assert_eq!(world.consume().await, 0, "who asks again so soon makes no other change");
}

#[tokio::test]
async fn a_change_that_nobody_consumes_tells_how_long_it_waits() {
    let world = World::new(&Faults::default()).await;
    world.lag().await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let waiting = world.lag().await;
    assert!(waiting["stream"]["behind_seconds"].as_f64().unwrap() > 2.0, "{waiting}");
    assert_eq!(waiting["stream"]["is_at_least"], true);
}

#[tokio::test]
async fn the_queue_tells_what_waits_and_what_is_in_hand() {
    let world = World::new(&Faults::default()).await;
    let message = || Message::Redrive { letter: DeadLetterId::new() };
    world.queue.send(&[message(), message()]).await.unwrap();
    world.queue.send_later(&[(message(), Duration::from_mins(1))]).await.unwrap();
    let queue = json!({"waiting": 2, "in_hand": 0, "delayed": 1, "unknown": null});
    assert_eq!(world.lag().await["queue"], queue);
}

#[tokio::test]
async fn what_can_not_be_known_is_said_to_be_unknown_and_fails_nothing_else() {
    let faults = Faults::on("PutItem");
    let world = World::new(&faults).await;
    // As many as the SDK tries.
    for _ in 0..3 {
        faults.then(Fault::InternalError);
    }
    let lag = world.lag().await;
    assert!(lag["stream"]["unknown"].is_string() && lag["stream"]["behind_seconds"].is_null(), "{lag}");
    assert_eq!(lag["queue"]["waiting"], 0);

    let app = App::new(world.app.store.clone(), Settings::default());
    let lag = World { app, ..world }.lag().await;
    assert_eq!(lag["queue"]["unknown"], "this process does not know the queue");
}
