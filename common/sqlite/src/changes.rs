//! The stream: what was written, for the one consumer that follows it.
//!
//! A change is written in the transaction of what it tells of, and only for items that somebody follows
//! ([`Subject`](store::table::Subject)). After the commit it is handed to the consumer in memory. What does not fit
//! there, what another process wrote and what is left of a process that died is read from the table.
//!
//! Consumed changes are deleted along with a later write, or after a moment without one. A process that dies before
//! that leaves them to be consumed once more.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use store::{Item, Key};
use tokio::sync::Notify;

use crate::{SqliteError, database::Shared, item};

/// How long the consumer sleeps at most before it looks for changes that another process wrote.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How much time lies between two batches at least, so that the consumer takes many writes at once of those who write
/// again and again. What is written after a pause is consumed at once.
const INTERVAL: Duration = Duration::from_millis(5);

/// How many changes wait in memory at most.
const MOST_CHANGES: usize = 2_000;

/// How many bytes of changes wait in memory at most.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How many consumed changes may pile up before a write deletes them.
const TRIM_EVERY: i64 = 256;

/// How long consumed changes may stay.
const TRIM_INTERVAL: Duration = Duration::from_millis(250);

/// A change of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The item's primary key.
    pub key: Key,
    /// The item before the change; none where it was added.
    pub before: Option<Item>,
    /// The item after the change; none after its removal.
    pub after: Option<Item>,
    number: i64,
}

impl Change {
    pub(crate) fn new(number: i64, key: Key, before: Option<Item>, after: Option<Item>) -> Self {
        Self { key, before, after, number }
    }

    /// Returns its number, which no other change ever has.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    fn bytes(&self) -> usize {
        [&self.before, &self.after].into_iter().flatten().map(item::size).sum()
    }
}

/// Writes a change into the table; returns its number.
pub(crate) fn write(
    connection: &Connection,
    key: &Key,
    before: Option<&Item>,
    after: Option<&Item>,
) -> Result<i64, SqliteError> {
    let keys = |item: Option<&Item>| item.map(|item| item::written_keys(&item.index_keys)).transpose();
    let mut statement = connection.prepare_cached(
        "INSERT INTO changes (
             pk, sk,
             old_version, old_announced, old_expires, old_brief, old_keys, old_head, old_tail,
             new_version, new_announced, new_expires, new_brief, new_keys, new_head, new_tail
         ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    let version = |item: Option<&Item>| item.map(|item| item::number(item.version));
    let announced = |item: Option<&Item>| item.and_then(|item| item.announced).map(item::number);
    Ok(statement.insert(params![
        key.pk,
        key.sk,
        version(before),
        announced(before),
        before.and_then(|item| item.expires),
        before.and_then(|item| item.brief.as_ref()),
        keys(before)?,
        before.and_then(|item| item.head.as_ref()),
        before.and_then(|item| item.tail.as_ref()),
        version(after),
        announced(after),
        after.and_then(|item| item.expires),
        after.and_then(|item| item.brief.as_ref()),
        keys(after)?,
        after.and_then(|item| item.head.as_ref()),
        after.and_then(|item| item.tail.as_ref()),
    ])?)
}

/// Reads the oldest changes after the one with the number `after`, `limit` at most.
///
/// One that can't be read is reported and left out.
fn read(connection: &Connection, after: i64, limit: usize) -> Result<Read, SqliteError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, pk, sk,
                old_version, old_announced, old_expires, old_brief, old_keys, old_head, old_tail,
                new_version, new_announced, new_expires, new_brief, new_keys, new_head, new_tail
         FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let (mut changes, mut last, mut count) = (Vec::new(), after, 0);
    while let Some(row) = rows.next()? {
        (last, count) = (row.get(0)?, count + 1);
        let key = Key { pk: row.get(1)?, sk: row.get(2)? };
        if key.pk.is_empty() {
            continue;
        }
        let image = |first: usize| {
            let is_there = row.get::<_, Option<i64>>(first)?.is_some();
            is_there.then(|| item::read(row, first, key.clone())).transpose()
        };
        match (image(3), image(10)) {
            (Ok(before), Ok(after)) => changes.push(Change::new(last, key, before, after)),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, ?key, "a change can't be read and is passed over");
            }
        }
    }
    Ok(Read { changes, last, is_all: count < limit })
}

/// Returns the numbers of all changes after the one with the number `after`, in their order.
pub(crate) fn numbers(connection: &Connection, after: i64) -> Result<Vec<i64>, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT seq FROM changes WHERE seq > ?1 ORDER BY seq")?;
    Ok(statement.query_map([after], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Returns the number of the last change.
pub(crate) fn last(connection: &Connection) -> Result<i64, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT ifnull(max(seq), 0) FROM changes")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Returns the change with a number; none if it can't be read, which is reported.
pub(crate) fn find(connection: &Connection, number: i64) -> Result<Option<Change>, SqliteError> {
    let found = read(connection, number.saturating_sub(1), 1)?.changes.pop();
    Ok(found.filter(|change| change.number == number))
}

/// Deletes the changes up to a number, of which the last one's number stays.
pub(crate) fn delete(connection: &Connection, upto: i64) -> Result<(), SqliteError> {
    connection.prepare_cached("DELETE FROM changes WHERE seq < ?1")?.execute([upto])?;
    connection
        .prepare_cached(
            "UPDATE changes SET pk = '', sk = '',
                 old_version = NULL, old_brief = NULL, old_keys = NULL, old_head = NULL, old_tail = NULL,
                 new_version = NULL, new_brief = NULL, new_keys = NULL, new_head = NULL, new_tail = NULL
             WHERE seq = ?1",
        )?
        .execute([upto])?;
    Ok(())
}

/// What was read of the table.
struct Read {
    changes: Vec<Change>,
    /// The number of the last row.
    last: i64,
    /// Whether there are no further rows.
    is_all: bool,
}

/// What was committed and is not consumed, as far as it fits into memory.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    waiting: Mutex<Waiting>,
    written: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Whether there is a consumer.
    is_followed: bool,
    changes: VecDeque<Change>,
    bytes: usize,
    /// The number of the last change that this process has written.
    newest: i64,
    /// The number of the last change that was consumed.
    acknowledged: i64,
    /// Up to which number changes were deleted, or are about to be.
    trimmed: i64,
    last_trim: Option<Instant>,
}

impl Waiting {
    fn is_trim_due(&self) -> bool {
        let untrimmed = self.acknowledged - self.trimmed;
        untrimmed >= TRIM_EVERY || (untrimmed > 0 && self.last_trim.is_none_or(|last| last.elapsed() >= TRIM_INTERVAL))
    }

    /// Takes the changes that come next after the number `after` without a gap, `limit` at most.
    ///
    /// A gap is what did not fit into memory, or what another process wrote.
    fn take_after(&mut self, after: i64, limit: usize) -> Vec<Change> {
        let (mut taken, mut last) = (Vec::new(), after);
        while let Some(front) = self.changes.front() {
            let is_next = front.number == last + 1;
            if front.number > last && (!is_next || taken.len() >= limit) {
                break;
            }
            let Some(change) = self.changes.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(change.bytes());
            if is_next {
                last = change.number;
                taken.push(change);
            }
        }
        taken
    }
}

impl Feed {
    /// Takes changes that were committed, in their order.
    pub(crate) fn push(&self, changes: impl Iterator<Item = Change>) {
        let (mut waiting, mut is_new) = (self.waiting(), false);
        for change in changes {
            is_new = true;
            waiting.newest = change.number;
            let bytes = change.bytes();
            if waiting.is_followed && waiting.changes.len() < MOST_CHANGES && waiting.bytes + bytes <= MOST_BYTES {
                waiting.bytes += bytes;
                waiting.changes.push_back(change);
            }
        }
        drop(waiting);
        if is_new {
            self.written.notify_one();
        }
    }

    /// Returns up to which number consumed changes are to be deleted, if they have piled up ([`delete`]).
    ///
    /// Should that fail, they are deleted with those that are consumed next.
    pub(crate) fn due(&self) -> Option<i64> {
        let mut waiting = self.waiting();
        waiting.is_trim_due().then(|| {
            waiting.trimmed = waiting.acknowledged;
            waiting.last_trim = Some(Instant::now());
            waiting.acknowledged
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one consumer of a database's changes.
pub struct Changes {
    database: Arc<Shared>,
    /// The number of the last change that was consumed.
    acknowledged: i64,
    /// The number of the last change that was handed out.
    handed_out: i64,
    /// Whether there may be changes in the table that never were in memory: at the start, and when another process
    /// writes.
    is_in_table: bool,
    /// When the consumer was woken last.
    woken: Option<Instant>,
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Changes").field("acknowledged", &self.acknowledged).finish_non_exhaustive()
    }
}

impl Changes {
    pub(crate) fn new(database: Arc<Shared>) -> Self {
        let acknowledged = {
            let mut waiting = database.feed.waiting();
            waiting.is_followed = true;
            waiting.acknowledged
        };
        Self { database, acknowledged, handed_out: acknowledged, is_in_table: true, woken: None }
    }

    /// Waits for changes and returns the oldest ones, `limit` at most, in the order of their writes.
    ///
    /// The same changes come again until they are acknowledged, also after a restart.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Change>, SqliteError> {
        let limit = limit.max(1);
        // What was handed out and is wanted again is in the table alone.
        let mut is_in_memory = self.handed_out == self.acknowledged;
        loop {
            if is_in_memory {
                let mut waiting = self.database.feed.waiting();
                let changes = waiting.take_after(self.acknowledged, limit);
                if let Some(last) = changes.last() {
                    self.handed_out = last.number;
                    return Ok(changes);
                }
                // There is a gap: what did not fit into memory, or what another process wrote.
                self.is_in_table |= waiting.newest > self.acknowledged;
            }
            if self.is_in_table || !is_in_memory {
                let after = self.acknowledged;
                let Read { changes, last, is_all } = self.database.read(|connection| read(connection, after, limit))?;
                (self.handed_out, self.is_in_table) = (last, !is_all);
                if !changes.is_empty() {
                    return Ok(changes);
                }
                if last > self.acknowledged {
                    self.acknowledge();
                    self.is_in_table = true;
                    continue;
                }
            }
            self.trim().await?;
            is_in_memory = true;
            if tokio::time::timeout(POLL_INTERVAL, self.database.feed.written.notified()).await.is_ok() {
                // A sleep of no time may take a millisecond.
                if let Some(left) = self.woken.and_then(|woken| INTERVAL.checked_sub(woken.elapsed())) {
                    tokio::time::sleep(left).await;
                }
                self.woken = Some(Instant::now());
            } else {
                self.is_in_table = true;
            }
        }
    }

    /// Marks what was handed out last as consumed; it is not handed out again.
    pub fn acknowledge(&mut self) {
        self.acknowledged = self.handed_out;
        self.database.feed.waiting().acknowledged = self.acknowledged;
    }

    /// Deletes what is consumed, where no write did that meanwhile.
    async fn trim(&self) -> Result<(), SqliteError> {
        if self.database.feed.waiting().is_trim_due() {
            // The deletion is a part of every transaction.
            self.database.writer.write(0, |_| Ok(())).await?;
        }
        Ok(())
    }
}
