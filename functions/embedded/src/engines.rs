//! The connections to the embedded database: one that writes, and one beside it that only reads.
//!
//! SQLite's write-ahead log lets readers go on beside the one writer, and each read sees every write that was answered
//! before it began. A database in memory has no such log, so there everything waits for its turn on one connection.

use std::sync::Arc;

use dynoxide::Database;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::EmbeddedError;

/// A connection whose turn it is.
pub(crate) type Turn = OwnedMutexGuard<Database>;

/// The connections of one database; clones share them.
///
/// Requests wait for a turn without a thread, and short ones then run on the thread that they are on. Handing each one to
/// a thread for blocking calls took longer than most of them take.
#[derive(Clone)]
pub(crate) struct Engines {
    writer: Arc<Mutex<Database>>,
    reader: Option<Arc<Mutex<Database>>>,
}

impl Engines {
    /// Opens the database at `location`, a path or the URI of one in memory.
    pub(crate) fn open(location: &str, is_in_memory: bool) -> Result<Self, EmbeddedError> {
        let connect = || Ok::<_, EmbeddedError>(Arc::new(Mutex::new(Database::new(location)?)));
        let writer = connect()?;
        let reader = if is_in_memory { None } else { Some(connect()?) };
        Ok(Self { writer, reader })
    }

    /// Waits for the connection that may write.
    pub(crate) async fn to_write(&self) -> Turn {
        Arc::clone(&self.writer).lock_owned().await
    }

    /// Waits for any connection.
    ///
    /// A short read takes the writer's if it is free: each write by another connection empties a connection's cache. A long
    /// one leaves it to writes if it can.
    pub(crate) async fn to_read(&self, is_long: bool) -> Turn {
        let Some(reader) = &self.reader else { return self.to_write().await };
        let (first, second) = if is_long { (reader, &self.writer) } else { (&self.writer, reader) };
        tokio::select! {
            biased;
            turn = Arc::clone(first).lock_owned() => turn,
            turn = Arc::clone(second).lock_owned() => turn,
        }
    }
}
