//! The database of this machine: SQLite, or the emulator of DynamoDB where functions in processes of their own share it.

use common::{
    Store,
    stream::{Change, Record},
};
use embedded::{ChangeStream, EmbeddedDatabase, EmbeddedError, EmbeddedQueue, StreamRecord};
use sqlite::SqliteError;

/// What went wrong with the database or its stream.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It was SQLite.
    #[error(transparent)]
    Sqlite(#[from] SqliteError),
    /// It was the emulator.
    #[error(transparent)]
    Emulator(#[from] EmbeddedError),
}

/// The database; clones share it.
#[derive(Clone)]
pub enum Database {
    /// SQLite, in a file or in memory.
    Sqlite(sqlite::Database),
    /// The emulator.
    Emulator(EmbeddedDatabase),
}

impl Database {
    /// Returns the store on the table of this name, whose collections are spread over `shards`.
    pub fn store(&self, table: &str, shards: u8) -> Store {
        match self {
            Self::Sqlite(database) => Store::on(database.clone(), shards),
            Self::Emulator(database) => {
                Store::new(aws_sdk_dynamodb::Client::from_conf(database.sdk_config()), table, shards)
            }
        }
    }

    /// Returns the queue that is kept beside the table.
    ///
    /// # Errors
    /// Those of a database that has to be opened for it.
    pub fn queue(&self) -> Result<EmbeddedQueue, DatabaseError> {
        Ok(match self {
            Self::Sqlite(database) => EmbeddedQueue::new(database.queue()),
            Self::Emulator(database) => database.queue()?,
        })
    }

    /// Returns the reader of what changes in the table of this name.
    pub fn changes(&self, table: &str) -> Changes {
        match self {
            Self::Sqlite(database) => Changes::Sqlite(database.changes()),
            Self::Emulator(database) => Changes::Emulator(Box::new(database.change_stream(table)), Vec::new()),
        }
    }

    /// Deletes the items whose time to live has passed, as DynamoDB does by itself.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sweep_expired(&self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(database) => drop(database.sweep_expired().await?),
            Self::Emulator(database) => drop(database.sweep_expired().await?),
        }
        Ok(())
    }
}

/// The one reader of a table's changes.
#[derive(Debug)]
pub enum Changes {
    /// Those of SQLite.
    Sqlite(sqlite::Changes),
    /// Those of the emulator, and what was handed out last.
    Emulator(Box<ChangeStream>, Vec<StreamRecord>),
}

impl Changes {
    /// Waits for changes and returns the oldest ones, `limit` at most, in the order of their writes.
    ///
    /// The same changes come again until they are acknowledged, also after a restart. One that can't be read is reported
    /// and passed over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Record>, DatabaseError> {
        match self {
            Self::Sqlite(changes) => {
                let changes = changes.next(limit).await?;
                let record = |sqlite::Change { key, before, after, .. }| Record::from(Change { key, before, after });
                Ok(changes.into_iter().map(record).collect())
            }
            Self::Emulator(stream, handed_out) => {
                *handed_out = stream.next(limit).await?;
                let read = handed_out.iter_mut().filter_map(|record| {
                    let (keys, old, new) =
                        (std::mem::take(&mut record.keys), record.old_image.take(), record.new_image.take());
                    Record::from_json(keys, old, new)
                        .inspect_err(|error| tracing::error!(%error, "a change can't be read and is passed over"))
                        .ok()
                });
                Ok(read.collect())
            }
        }
    }

    /// Marks what was handed out last as consumed; it is not handed out again.
    ///
    /// # Errors
    /// Those of the database.
    pub fn acknowledge(&mut self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(changes) => changes.acknowledge(),
            Self::Emulator(stream, handed_out) => stream.acknowledge(handed_out)?,
        }
        Ok(())
    }
}
