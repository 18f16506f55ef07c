//! A queue in place of SQS, for the local server and the tests.
//!
//! The sender speaks through `aws-sdk-sqs`, whose HTTP client is given one that answers from here. The receiver reads as
//! Lambda's poller does for a function: what it was handed is hidden from it for a while, and comes again unless it is
//! acknowledged. Messages are in the database's file, so they outlive the process.
//!
//! No message is put aside here, as SQS does after some receipts: the job runner puts it aside as a dead letter, and
//! may die before it has.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::config::{BehaviorVersion, Region};
use aws_smithy_runtime::client::auth::no_auth::NO_AUTH_SCHEME_ID;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, Notify};
use uuid::Uuid;

use crate::{EmbeddedDatabase, EmbeddedError, connector, stream};

/// How long the receiver sleeps at most before it looks for messages that are to be seen again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The queue of an embedded database; clones share it.
#[derive(Clone)]
pub struct EmbeddedQueue {
    database: EmbeddedDatabase,
    connection: Arc<Mutex<Connection>>,
    sent: Arc<Notify>,
}

/// A message that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// What was sent.
    pub body: String,
    /// Which time it was handed out, from 1: an acknowledgement of an earlier time comes too late.
    pub receives: u32,
    id: i64,
}

impl EmbeddedQueue {
    pub(crate) fn open(database: &EmbeddedDatabase) -> Result<Self, EmbeddedError> {
        let connection = stream::connect(&database.location)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS _queue_messages (
                 id INTEGER PRIMARY KEY,
                 body TEXT NOT NULL,
                 visible_at REAL NOT NULL,
                 receives INTEGER NOT NULL DEFAULT 0
             );
             CREATE INDEX IF NOT EXISTS _queue_due ON _queue_messages (visible_at);",
        )?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { database: database.clone(), connection, sent: Arc::default() })
    }

    /// Returns an SDK configuration that sends to this queue, whatever address is named.
    pub fn sdk_config(&self) -> aws_sdk_sqs::Config {
        let connector = SharedHttpConnector::new(Connector(self.clone()));
        aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("local"))
            .allow_no_auth()
            .auth_scheme_preference([NO_AUTH_SCHEME_ID])
            .http_client(http_client_fn(move |_settings, _components| connector.clone()))
            .build()
    }

    /// Waits for messages, and hands out the oldest ones, `limit` at most; they come again after `hidden` has passed.
    pub async fn receive(&self, limit: usize, hidden: Duration) -> Result<Vec<ReceivedMessage>, EmbeddedError> {
        loop {
            let messages = self.hand_out(limit, hidden).await?;
            if !messages.is_empty() {
                return Ok(messages);
            }
            let _ = tokio::time::timeout(POLL_INTERVAL, self.sent.notified()).await;
        }
    }

    /// Hands out the oldest messages that are to be seen, `limit` at most, without waiting for one.
    pub async fn hand_out(&self, limit: usize, hidden: Duration) -> Result<Vec<ReceivedMessage>, EmbeddedError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (connection, _turn) = (self.connection().await?, self.database.engines.to_write().await);
        // Most looks find nothing, and need not write.
        let is_there = "SELECT EXISTS (SELECT 1 FROM _queue_messages WHERE visible_at <= unixepoch('subsec'))";
        if !connection.prepare_cached(is_there)?.query_row([], |row| row.get(0))? {
            return Ok(Vec::new());
        }
        let mut statement = connection.prepare_cached(
            "UPDATE _queue_messages SET receives = receives + 1, visible_at = unixepoch('subsec') + ?2
             WHERE id IN (SELECT id FROM _queue_messages WHERE visible_at <= unixepoch('subsec')
                          ORDER BY visible_at, id LIMIT ?1)
             RETURNING id, body, receives",
        )?;
        let messages = statement.query_map(params![limit, hidden.as_secs_f64()], |row| {
            Ok(ReceivedMessage { id: row.get(0)?, body: row.get(1)?, receives: row.get(2)? })
        })?;
        Ok(messages.collect::<Result<_, _>>()?)
    }

    /// Deletes a message that was worked off, unless it was handed out again since.
    pub async fn acknowledge(&self, message: &ReceivedMessage) -> Result<(), EmbeddedError> {
        let (connection, _turn) = (self.connection().await?, self.database.engines.to_write().await);
        connection
            .prepare_cached("DELETE FROM _queue_messages WHERE id = ?1 AND receives = ?2")?
            .execute(params![message.id, message.receives])?;
        Ok(())
    }

    /// Lets what was in hand be seen now, of a process that ended in the middle of it.
    pub async fn take_up(&self) -> Result<(), EmbeddedError> {
        let (connection, _turn) = (self.connection().await?, self.database.engines.to_write().await);
        connection
            .prepare_cached("UPDATE _queue_messages SET visible_at = unixepoch('subsec') WHERE receives > 0")?
            .execute([])?;
        Ok(())
    }

    /// Lets every message be seen now, whatever its delay, for tests that can't wait.
    pub async fn bring_forward(&self) -> Result<(), EmbeddedError> {
        let (connection, _turn) = (self.connection().await?, self.database.engines.to_write().await);
        connection.prepare_cached("UPDATE _queue_messages SET visible_at = unixepoch('subsec')")?.execute([])?;
        Ok(())
    }

    /// Waits for the connection.
    async fn connection(&self) -> Result<MutexGuard<'_, Connection>, EmbeddedError> {
        let mut connection = self.connection.lock().await;
        stream::renew(&mut connection, &self.database.location)?;
        Ok(connection)
    }

    async fn send(&self, request: SendMessageBatch) -> Result<serde_json::Value, EmbeddedError> {
        let (mut connection, _turn) = (self.connection().await?, self.database.engines.to_write().await);
        let transaction = connection.transaction()?;
        for entry in &request.entries {
            transaction
                .prepare_cached("INSERT INTO _queue_messages (body, visible_at) VALUES (?1, unixepoch('subsec') + ?2)")?
                .execute(params![entry.message_body, entry.delay_seconds])?;
        }
        transaction.commit()?;
        self.sent.notify_one();
        let sent = request.entries.iter().map(|entry| json!({ "Id": entry.id, "MessageId": Uuid::new_v4() }));
        Ok(json!({ "Successful": sent.collect::<Vec<_>>(), "Failed": [] }))
    }

    /// Counts the messages, by SQS's names for what is counted.
    ///
    /// A message that failed and is to come again later counts as one in hand.
    async fn depth(&self) -> Result<serde_json::Value, EmbeddedError> {
        let (connection, _turn) = (self.connection().await?, self.database.engines.to_write().await);
        let counts = connection
            .prepare_cached(
                "SELECT count(*) FILTER (WHERE visible_at <= unixepoch('subsec')),
                        count(*) FILTER (WHERE visible_at > unixepoch('subsec') AND receives > 0),
                        count(*) FILTER (WHERE visible_at > unixepoch('subsec') AND receives = 0)
                 FROM _queue_messages",
            )?
            .query_row([], |row| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?]))?;
        let [waiting, in_hand, delayed] = counts.map(|count| count.to_string());
        Ok(json!({ "Attributes": {
            "ApproximateNumberOfMessages": waiting,
            "ApproximateNumberOfMessagesNotVisible": in_hand,
            "ApproximateNumberOfMessagesDelayed": delayed,
        } }))
    }
}

/// The request of SQS's operation of the same name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatch {
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    message_body: String,
    #[serde(default)]
    delay_seconds: u32,
}

#[derive(Clone)]
struct Connector(EmbeddedQueue);

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Connector").field(&self.0.database.location).finish()
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let queue = self.0.clone();
        HttpConnectorFuture::new(async move {
            let refused = |reason: String| ConnectorError::user(reason.into());
            let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
            let answer = match target.as_str() {
                "AmazonSQS.SendMessageBatch" => {
                    let body = request.body().bytes().unwrap_or_default();
                    queue.send(serde_json::from_slice(body).map_err(|error| refused(error.to_string()))?).await
                }
                "AmazonSQS.GetQueueAttributes" => queue.depth().await,
                _ => return Err(refused(format!("the embedded queue does not know {target}"))),
            };
            connector::respond(200, answer.map_err(|error| refused(error.to_string()))?.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{
        Client,
        types::{QueueAttributeName, SendMessageBatchRequestEntry},
    };

    use super::*;

    const HIDDEN: Duration = Duration::from_millis(50);

    async fn send(queue: &EmbeddedQueue, bodies: &[&str], delay_seconds: i32) {
        let mut request = Client::from_conf(queue.sdk_config()).send_message_batch().queue_url("http://queue");
        for (place, body) in bodies.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(*body);
            request = request.entries(entry.delay_seconds(delay_seconds).build().unwrap());
        }
        assert_eq!(request.send().await.unwrap().successful().len(), bodies.len());
    }

    fn bodies(messages: &[ReceivedMessage]) -> Vec<&str> {
        messages.iter().map(|message| message.body.as_str()).collect()
    }

    #[tokio::test]
    async fn what_is_not_acknowledged_comes_again() {
        let queue = EmbeddedDatabase::in_memory().unwrap().queue().unwrap();
        send(&queue, &["one", "two"], 0).await;
        let first = queue.receive(10, HIDDEN).await.unwrap();
        assert_eq!(bodies(&first), ["one", "two"]);
        assert!(queue.hand_out(10, HIDDEN).await.unwrap().is_empty(), "what was handed out is hidden");
        queue.acknowledge(&first[0]).await.unwrap();
        let again = queue.receive(10, HIDDEN).await.unwrap();
        assert_eq!(bodies(&again), ["two"]);
        queue.acknowledge(&first[1]).await.unwrap();
        assert_eq!(bodies(&queue.receive(10, HIDDEN).await.unwrap()), ["two"], "that came too late");
    }

    #[tokio::test]
    async fn its_messages_are_counted_by_what_they_wait_for() {
        let queue = EmbeddedDatabase::in_memory().unwrap().queue().unwrap();
        send(&queue, &["one", "two", "three"], 0).await;
        send(&queue, &["later"], 60).await;
        queue.hand_out(1, Duration::from_mins(1)).await.unwrap();
        let asked = Client::from_conf(queue.sdk_config()).get_queue_attributes().queue_url("http://queue");
        let answer = asked.attribute_names(QueueAttributeName::All).send().await.unwrap();
        let count = |name| answer.attributes().unwrap()[&name].clone();
        assert_eq!(count(QueueAttributeName::ApproximateNumberOfMessages), "2");
        assert_eq!(count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible), "1");
        assert_eq!(count(QueueAttributeName::ApproximateNumberOfMessagesDelayed), "1");
    }

    #[tokio::test]
    async fn what_is_never_acknowledged_is_never_forgotten() {
        let queue = EmbeddedDatabase::in_memory().unwrap().queue().unwrap();
        send(&queue, &["poisoned"], 0).await;
        for time in 1..20 {
            assert_eq!(queue.receive(1, Duration::ZERO).await.unwrap()[0].receives, time);
        }
    }

    #[tokio::test]
    async fn a_message_waits_for_its_delay_and_outlives_the_process() {
        let path = std::env::temp_dir().join(format!("{}.db", Uuid::new_v4()));
        send(&EmbeddedDatabase::open(&path).unwrap().queue().unwrap(), &["later"], 1).await;
        let queue = EmbeddedDatabase::open(&path).unwrap().queue().unwrap();
        assert!(queue.hand_out(1, HIDDEN).await.unwrap().is_empty());
        assert_eq!(bodies(&queue.receive(1, HIDDEN).await.unwrap()), ["later"]);
        std::fs::remove_file(&path).unwrap();
    }
}
