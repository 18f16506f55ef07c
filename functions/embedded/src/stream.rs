//! The change stream of the embedded database, read in place of DynamoDB Streams.
//!
//! The engine writes each change's record in the same SQLite transaction as the change, so a record is as durable
//! as what it tells of. It neither indexes nor trims its records, and looks for the last one at every write: both
//! are done here, on a connection of our own. A record is deleted only after its consumer has finished with it.

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use serde_json::Value;

use crate::{EmbeddedDatabase, EmbeddedError};

/// How long the consumer sleeps at most before it looks for records that another process wrote.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How long the consumer waits after a write for others that it can read with it.
const LINGER: Duration = Duration::from_millis(2);

/// How many consumed records may pile up before they are deleted.
const TRIM_EVERY: usize = 2_000;

/// How long consumed records may stay: a process that dies leaves them to be consumed once more.
const TRIM_INTERVAL: Duration = Duration::from_millis(250);

/// One change of one item, in DynamoDB's JSON.
#[derive(Clone, Debug)]
pub struct StreamRecord {
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub event_name: String,
    /// The item's primary key, attribute by attribute.
    pub keys: HashMap<String, Value>,
    /// The item before the change; none where it was added.
    pub old_image: Option<HashMap<String, Value>>,
    /// The item after the change; none after a removal.
    pub new_image: Option<HashMap<String, Value>>,
    position: i64,
}

/// Adds the indexes that keep the engine's and our own look-ups in the stream short.
pub(crate) fn prepare(location: &str) -> Result<(), EmbeddedError> {
    connect(location)?.execute_batch(
        "CREATE INDEX IF NOT EXISTS stream_positions
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER));",
    )?;
    Ok(())
}

pub(crate) fn connect(location: &str) -> Result<Connection, EmbeddedError> {
    let connection = Connection::open(location)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // The reader goes through new pages once; what the engine's defaults set aside for its indexes would lie idle here.
    connection.pragma_update(None, "cache_size", -1_000)?;
    Ok(connection)
}

/// Opens `connection` anew if it was opened on a read-only file: it stays read-only when the file no longer is.
pub(crate) fn renew(connection: &mut Connection, location: &str) -> Result<(), EmbeddedError> {
    if connection.is_readonly("main")? {
        sqlite::files::follow_mode(Path::new(location));
        *connection = connect(location)?;
    }
    Ok(())
}

/// The one consumer of a table's change stream.
pub struct ChangeStream {
    database: EmbeddedDatabase,
    table: String,
    /// The last record handed out and acknowledged.
    acknowledged: i64,
    untrimmed: usize,
    trimmed: Instant,
    connection: Option<Connection>,
}

impl fmt::Debug for ChangeStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ChangeStream").field("acknowledged", &self.acknowledged).finish_non_exhaustive()
    }
}

impl ChangeStream {
    pub(crate) fn new(database: EmbeddedDatabase, table: &str) -> Self {
        Self {
            database,
            table: table.to_owned(),
            acknowledged: 0,
            untrimmed: 0,
            trimmed: Instant::now(),
            connection: None,
        }
    }

    /// Waits for changes and returns the oldest ones, `limit` at most, in the order of their writes.
    ///
    /// The same records come again until they are acknowledged, also after a restart.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<StreamRecord>, EmbeddedError> {
        loop {
            let records = self.read(limit)?;
            if !records.is_empty() {
                return Ok(records);
            }
            self.trim()?;
            if tokio::time::timeout(POLL_INTERVAL, self.database.written.notified()).await.is_ok() {
                tokio::time::sleep(LINGER).await;
            }
        }
    }

    /// Marks `records` as consumed; they are not handed out again.
    pub fn acknowledge(&mut self, records: &[StreamRecord]) -> Result<(), EmbeddedError> {
        let Some(last) = records.last() else { return Ok(()) };
        self.acknowledged = last.position;
        self.untrimmed += records.len();
        if self.untrimmed >= TRIM_EVERY || self.trimmed.elapsed() >= TRIM_INTERVAL { self.trim() } else { Ok(()) }
    }

    fn read(&mut self, limit: usize) -> Result<Vec<StreamRecord>, EmbeddedError> {
        let (table, after) = (self.table.clone(), self.acknowledged);
        let mut statement = self.connection()?.prepare_cached(
            "SELECT id, event_name, keys_json, old_image, new_image FROM _stream_records
             WHERE id > ?1 AND table_name = ?2 ORDER BY id LIMIT ?3",
        )?;
        let rows = statement.query_map(params![after, table, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            Ok(StreamRecord {
                position: row.get(0)?,
                event_name: row.get(1)?,
                keys: parse(Some(row.get::<_, String>(2)?)).unwrap_or_default(),
                old_image: parse(row.get(3)?),
                new_image: parse(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn trim(&mut self) -> Result<(), EmbeddedError> {
        if self.untrimmed == 0 {
            return Ok(());
        }
        let (table, upto) = (self.table.clone(), self.acknowledged);
        self.connection()?
            .prepare_cached("DELETE FROM _stream_records WHERE id <= ?1 AND table_name = ?2")?
            .execute(params![upto, table])?;
        (self.untrimmed, self.trimmed) = (0, Instant::now());
        Ok(())
    }

    /// Returns the connection, which is opened once: to read the schema anew takes longer than to read the changes.
    fn connection(&mut self) -> Result<&mut Connection, EmbeddedError> {
        match self.connection {
            Some(ref mut connection) => {
                renew(connection, &self.database.location)?;
                Ok(connection)
            }
            None => Ok(self.connection.insert(connect(&self.database.location)?)),
        }
    }
}

fn parse(json: Option<String>) -> Option<HashMap<String, Value>> {
    json.and_then(|json| serde_json::from_str(&json).ok())
}
