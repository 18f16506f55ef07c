//! Where the database is, and how a connection to it is opened.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode};

use crate::{Durability, SqliteError, files};

/// How long a connection waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many statements a connection keeps prepared: more than there are.
const STATEMENTS: usize = 96;

/// How many KB of pages a connection keeps.
///
/// The one that writes keeps its pages from one commit to the next. Every commit empties what a reader has read, so a
/// reader gains little from more; the operating system has the pages.
const CACHE: Caches = Caches { writer: 32 * 1024, reader: 2 * 1024 };

struct Caches {
    writer: i64,
    reader: i64,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It writes.
    Writing,
    /// It reads, or moves the log into the file.
    Reading,
}

/// Where a database is.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// In memory, reached by one connection.
    Memory,
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// When a write is durable.
        durability: Durability,
    },
}

impl Location {
    /// Returns the file, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Memory => None,
            Self::File { path, .. } => Some(path),
        }
    }

    /// Opens a connection.
    pub(crate) fn connect(&self, purpose: Purpose) -> Result<Connection, SqliteError> {
        let connection = match self {
            Self::Memory => Connection::open_in_memory()?,
            Self::File { path, durability } => {
                let connection = Connection::open(path)?;
                connection.busy_timeout(BUSY_TIMEOUT)?;
                // It is the first that reads the file.
                let foreign = |error: rusqlite::Error| match error.sqlite_error_code() {
                    Some(ErrorCode::NotADatabase) => SqliteError::Foreign(path.clone()),
                    _ => error.into(),
                };
                let cache = if purpose == Purpose::Writing { CACHE.writer } else { CACHE.reader };
                let synchronous = match durability {
                    Durability::Process => "NORMAL",
                    Durability::Full => "FULL",
                };
                // Checkpoints are made by a thread of their own.
                let pragmas = format!(
                    "PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -{cache}; PRAGMA wal_autocheckpoint = 0;"
                );
                connection.execute_batch(&pragmas).map_err(foreign)?;
                connection
            }
        };
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }

    /// Opens `connection` anew if it was opened on a read-only file: it stays read-only when the file no longer is.
    pub(crate) fn renew(&self, connection: &mut Connection) -> Result<(), SqliteError> {
        if let Self::File { path, .. } = self
            && connection.is_readonly("main")?
        {
            files::follow_mode(path);
            *connection = self.connect(Purpose::Writing)?;
        }
        Ok(())
    }
}
