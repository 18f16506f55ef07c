//! A queue in place of SQS.
//!
//! The receiver reads as Lambda's poller does for a function: what it was handed is hidden from it for a while, and
//! comes again unless it is acknowledged. Messages are in the database's file, so they outlive the process.
//!
//! No message is put aside here, as SQS does after some receipts: the job runner puts it aside as a dead letter, and
//! may die before it has.

use std::{sync::Arc, time::Duration};

use rusqlite::params;

use crate::{SqliteError, database::Shared};

/// How long the receiver sleeps at most before it looks for messages that are to be seen again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The queue of a database; clones share it.
#[derive(Clone)]
pub struct LocalQueue(Arc<Shared>);

impl std::fmt::Debug for LocalQueue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("LocalQueue").finish_non_exhaustive()
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// What is sent.
    pub body: String,
    /// How long nobody sees it.
    pub delay: Duration,
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

/// How many messages there are, by what they wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Those that can be seen.
    pub waiting: u64,
    /// Those that were handed out, and those that failed and are to come again later.
    pub in_hand: u64,
    /// Those that nobody sees yet.
    pub delayed: u64,
}

impl LocalQueue {
    pub(crate) fn new(database: Arc<Shared>) -> Self {
        Self(database)
    }

    /// Sends messages, all of them or none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn send(&self, messages: Vec<OutgoingMessage>) -> Result<(), SqliteError> {
        let weight = messages.iter().map(|message| message.body.len()).sum();
        let insert = move |connection: &rusqlite::Connection| {
            let mut statement = connection
                .prepare_cached("INSERT INTO messages (body, visible_at) VALUES (?1, unixepoch('subsec') + ?2)")?;
            for message in &messages {
                statement.execute(params![message.body, message.delay.as_secs_f64()])?;
            }
            Ok(())
        };
        self.0.writer.write(weight, insert).await?;
        self.0.sent.notify_one();
        Ok(())
    }

    /// Waits for messages, and hands out the oldest ones, `limit` at most; they come again after `hidden` has passed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn receive(&self, limit: usize, hidden: Duration) -> Result<Vec<ReceivedMessage>, SqliteError> {
        loop {
            let messages = self.hand_out(limit, hidden).await?;
            if !messages.is_empty() {
                return Ok(messages);
            }
            let _ = tokio::time::timeout(POLL_INTERVAL, self.0.sent.notified()).await;
        }
    }

    /// Hands out the oldest messages that are to be seen, `limit` at most, without waiting for one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hand_out(&self, limit: usize, hidden: Duration) -> Result<Vec<ReceivedMessage>, SqliteError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // Most looks find nothing, and need not write.
        let is_there = self.0.read(|connection| {
            let statement = "SELECT EXISTS (SELECT 1 FROM messages WHERE visible_at <= unixepoch('subsec'))";
            Ok(connection.prepare_cached(statement)?.query_row([], |row| row.get::<_, bool>(0))?)
        })?;
        if !is_there {
            return Ok(Vec::new());
        }
        let hand_out = move |connection: &rusqlite::Connection| {
            let mut statement = connection.prepare_cached(
                "UPDATE messages SET receives = receives + 1, visible_at = unixepoch('subsec') + ?2
                 WHERE id IN (SELECT id FROM messages WHERE visible_at <= unixepoch('subsec')
                              ORDER BY visible_at, id LIMIT ?1)
                 RETURNING id, body, receives",
            )?;
            let messages = statement.query_map(params![limit, hidden.as_secs_f64()], |row| {
                Ok(ReceivedMessage { id: row.get(0)?, body: row.get(1)?, receives: row.get(2)? })
            })?;
            Ok(messages.collect::<Result<_, _>>()?)
        };
        self.0.writer.write(0, hand_out).await
    }

    /// Deletes a message that was worked off, unless it was handed out again since.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn acknowledge(&self, message: &ReceivedMessage) -> Result<(), SqliteError> {
        let (id, receives) = (message.id, message.receives);
        let delete = move |connection: &rusqlite::Connection| {
            let statement = "DELETE FROM messages WHERE id = ?1 AND receives = ?2";
            connection.prepare_cached(statement)?.execute(params![id, receives])?;
            Ok(())
        };
        self.0.writer.write(0, delete).await
    }

    /// Lets what was in hand be seen now, of a process that ended in the middle of it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn take_up(&self) -> Result<(), SqliteError> {
        self.show("UPDATE messages SET visible_at = unixepoch('subsec') WHERE receives > 0").await
    }

    /// Lets every message be seen now, whatever its delay, for tests that can't wait.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn bring_forward(&self) -> Result<(), SqliteError> {
        self.show("UPDATE messages SET visible_at = unixepoch('subsec')").await
    }

    /// Counts the messages.
    ///
    /// # Errors
    /// Those of the database.
    #[expect(clippy::unused_async, reason = "a caller need not know that this is no call of the writer's")]
    pub async fn depth(&self) -> Result<Depth, SqliteError> {
        self.0.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT count(*) FILTER (WHERE visible_at <= unixepoch('subsec')),
                        count(*) FILTER (WHERE visible_at > unixepoch('subsec') AND receives > 0),
                        count(*) FILTER (WHERE visible_at > unixepoch('subsec') AND receives = 0)
                 FROM messages",
            )?;
            Ok(statement.query_row([], |row| {
                let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                Ok(Depth { waiting: count(0)?, in_hand: count(1)?, delayed: count(2)? })
            })?)
        })
    }

    async fn show(&self, statement: &'static str) -> Result<(), SqliteError> {
        let show = move |connection: &rusqlite::Connection| {
            connection.prepare_cached(statement)?.execute([])?;
            Ok(())
        };
        self.0.writer.write(0, show).await?;
        self.0.sent.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, Mode};

    const HIDDEN: Duration = Duration::from_millis(50);

    async fn send(queue: &LocalQueue, bodies: &[&str], delay: Duration) {
        queue
            .send(bodies.iter().map(|body| OutgoingMessage { body: (*body).to_owned(), delay }).collect())
            .await
            .unwrap();
    }

    fn bodies(messages: &[ReceivedMessage]) -> Vec<&str> {
        messages.iter().map(|message| message.body.as_str()).collect()
    }

    #[tokio::test]
    async fn what_is_not_acknowledged_comes_again() {
        let queue = Database::in_memory().unwrap().queue();
        send(&queue, &["one", "two"], Duration::ZERO).await;
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
        let queue = Database::in_memory().unwrap().queue();
        send(&queue, &["one", "two", "three"], Duration::ZERO).await;
        send(&queue, &["later"], Duration::from_mins(1)).await;
        queue.hand_out(1, Duration::from_mins(1)).await.unwrap();
        assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 2, in_hand: 1, delayed: 1 });
        queue.bring_forward().await.unwrap();
        assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 4, in_hand: 0, delayed: 0 });
    }

    #[tokio::test]
    async fn what_is_never_acknowledged_is_never_forgotten() {
        let queue = Database::in_memory().unwrap().queue();
        send(&queue, &["poisoned"], Duration::ZERO).await;
        for time in 1..20 {
            assert_eq!(queue.receive(1, Duration::ZERO).await.unwrap()[0].receives, time);
        }
    }

    #[tokio::test]
    async fn a_message_waits_for_its_delay_and_outlives_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("proctor.db");
        send(&Database::open(&path, Mode::Serving).unwrap().queue(), &["later"], Duration::from_secs(1)).await;
        let queue = Database::open(&path, Mode::Serving).unwrap().queue();
        assert!(queue.hand_out(1, HIDDEN).await.unwrap().is_empty());
        assert_eq!(bodies(&queue.receive(1, HIDDEN).await.unwrap()), ["later"]);
    }
}
