//! One database of one machine, and what its clones share.

use std::{fs::File, path::Path, sync::Arc};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{
    SqliteError,
    changes::{Changes, Feed},
    checkpoint::{Checkpointer, Signal},
    connection::{Location, Purpose},
    files, lock,
    queue::LocalQueue,
    readers::Readers,
    schema,
    tallies::pending::Pending,
    writer::Writer,
};

/// How many long reads are made at once; each has a thread and a page in memory.
const LONG_READS: usize = 4;

/// Beside whom a database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As the server, of which there is one.
    Serving,
    /// Beside a server that may have it open, for a command.
    Beside,
}

/// What a write that was answered outlives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The process, killed at any moment.
    #[default]
    Process,
    /// The machine, at the cost of waiting for the disk.
    Full,
}

/// A database; clones share it.
#[derive(Clone)]
pub struct Database(pub(crate) Arc<Shared>);

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Database").field(&self.location()).finish()
    }
}

/// What clones share; dropped in this order, so that the lock is given back when all connections are closed.
pub(crate) struct Shared {
    _checkpointer: Option<Checkpointer>,
    pub(crate) readers: Option<Readers>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) pending: Arc<Pending>,
    pub(crate) long_reads: Semaphore,
    /// Wakes whoever waits for messages.
    pub(crate) sent: tokio::sync::Notify,
    location: Location,
    _lock: Option<File>,
}

impl Database {
    /// Opens a database of its own in memory, which is gone with its last clone.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn in_memory() -> Result<Self, SqliteError> {
        Self::at(Location::Memory, None)
    }

    /// Opens the database in the file `path`, and makes it if there is none, so that its owner alone may read it.
    ///
    /// # Errors
    /// [`SqliteError::InUse`] if there is a server already; those by which a file that is not ours is refused.
    pub fn open(path: &Path, mode: Mode) -> Result<Self, SqliteError> {
        Self::open_with(path, mode, Durability::default())
    }

    /// Opens the database in the file `path` with writes that outlive what `durability` says.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, mode: Mode, durability: Durability) -> Result<Self, SqliteError> {
        let lock = if mode == Mode::Serving { lock::take(path)? } else { None };
        files::make_private(path);
        let location = Location::File { path: path.to_owned(), durability };
        let is_serving = mode == Mode::Serving;
        Self::at(location, is_serving.then_some(lock))
    }

    /// Opens a database; a server's has a checkpointer and perhaps a lock, what is opened beside it has neither.
    fn at(location: Location, server: Option<Option<File>>) -> Result<Self, SqliteError> {
        let mut connection = location.connect(Purpose::Writing)?;
        schema::prepare(&mut connection, location.path())?;
        let (feed, signal) = (Arc::new(Feed::default()), Arc::new(Signal::default()));
        let pending = Arc::new(Pending::default());
        if server.is_some()
            && let Err(error) = pending.fold_what_is_left(&mut connection)
        {
            // Such as a full disk: nothing is lost by it, and the server says so when it is written to.
            tracing::warn!(%error, "tallies could not be folded");
        }
        let told = signal.clone();
        let committed = move |bytes| told.committed(bytes);
        let durability = match location {
            Location::File { durability, .. } => durability,
            Location::Memory => Durability::Process,
        };
        let writer =
            Arc::new(Writer::new(connection, location.clone(), durability, feed.clone(), pending.clone(), committed));
        let is_in_memory = location.path().is_none();
        let checkpointer = match &server {
            Some(_) if !is_in_memory => Some(Checkpointer::start(&location, Arc::downgrade(&writer), signal)?),
            _ => None,
        };
        Ok(Self(Arc::new(Shared {
            _checkpointer: checkpointer,
            readers: (!is_in_memory).then(|| Readers::new(location.clone())),
            writer,
            feed,
            pending,
            long_reads: Semaphore::new(LONG_READS),
            sent: tokio::sync::Notify::new(),
            location,
            _lock: server.flatten(),
        })))
    }

    /// Returns the database's file; none for one in memory.
    pub fn location(&self) -> Option<&Path> {
        self.0.location.path()
    }

    /// Returns the one consumer of what is written.
    pub fn changes(&self) -> Changes {
        Changes::new(self.0.clone())
    }

    /// Returns the queue that is kept beside the table.
    pub fn queue(&self) -> LocalQueue {
        LocalQueue::new(self.0.clone())
    }
}

impl Shared {
    /// Reads on this thread.
    ///
    /// In memory there is one connection, which everything takes in turn.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, SqliteError>) -> Result<T, SqliteError> {
        match &self.readers {
            Some(readers) => readers.read(work),
            None => work(&self.writer.hold()),
        }
    }

    /// Reads what takes long on a thread of its own, while the tasks of this one go on.
    pub(crate) async fn read_aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, SqliteError> {
        let _turn = self.long_reads.acquire().await;
        let shared = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || shared.read(work)).await;
        read.unwrap_or_else(|error| Err(SqliteError::Panicked(error.to_string())))
    }
}
