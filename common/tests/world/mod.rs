//! A store, its queue and its stream on one embedded database, for tests of what follows from writes.

use std::time::Duration;

use common::{
    App, Settings, Store,
    jobs::queue::{Message, Queue},
    stream::{self, Record},
};
use embedded::{ChangeStream, EmbeddedDatabase, EmbeddedQueue, ReceivedMessage, faults::Faults};

/// How long a message is hidden: the tests deliver what failed at once.
const HIDDEN: Duration = Duration::ZERO;

pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) queue: Queue,
    pub(crate) inbox: EmbeddedQueue,
    pub(crate) changes: ChangeStream,
}

/// Makes an empty one, with `faults` before its database.
pub(crate) async fn world(faults: &Faults) -> World {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let client =
        aws_sdk_dynamodb::Client::from_conf(EmbeddedDatabase::config_with(faults.before(database.http_client())));
    let settings = Settings { shards: 3, ..Settings::default() };
    let store = Store::new(client, &settings.table, settings.shards);
    store.create_table().await.unwrap();
    let inbox = database.queue().unwrap();
    let queue = Queue::new(aws_sdk_sqs::Client::from_conf(inbox.sdk_config()), "any");
    let changes = database.change_stream(&settings.table);
    World { app: App::new(store, settings), queue, inbox, changes }
}

impl World {
    /// Consumes what was written since, as the stream's consumer does.
    pub(crate) async fn follow_writes(&mut self) {
        while let Ok(records) = tokio::time::timeout(Duration::from_millis(20), self.changes.next(1_000)).await {
            let records = records.unwrap();
            let told: Vec<Record> = records
                .iter()
                .map(|record| {
                    Record::from_json(record.keys.clone(), record.old_image.clone(), record.new_image.clone()).unwrap()
                })
                .collect();
            assert!(stream::consume_records(&self.app, &self.queue, told).await.is_empty());
            self.changes.acknowledge(&records).unwrap();
        }
    }

    /// Receives the next messages of the queue.
    pub(crate) async fn messages(&self) -> Vec<(ReceivedMessage, Message)> {
        let received = self.inbox.hand_out(10, HIDDEN).await.unwrap();
        let message = |received: &ReceivedMessage| serde_json::from_str(&received.body).unwrap();
        received.into_iter().map(|received| (received.clone(), message(&received))).collect()
    }
}
