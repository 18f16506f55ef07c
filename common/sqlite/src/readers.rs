//! The connections that read beside the one that writes.
//!
//! With a write-ahead log a reader waits for nobody, and sees every write that was answered before it began. A read
//! holds its connection for no longer than it takes to read its page, whoever takes the answer how slowly.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::{
    SqliteError,
    connection::{Location, Purpose},
};

/// How many connections are kept open while nobody reads.
///
/// As many are in use as there are threads that read at this moment, which the runtime bounds.
const MOST_IDLE: usize = 8;

/// The connections that nobody reads with at this moment.
#[derive(Debug)]
pub(crate) struct Readers {
    location: Location,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(location: Location) -> Self {
        Self { location, idle: Mutex::default() }
    }

    /// Reads with a connection that nobody else reads with.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, SqliteError>) -> Result<T, SqliteError> {
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| self.location.connect(Purpose::Reading), Ok)?;
        let outcome = work(&connection);
        let mut idle = self.idle();
        // One that failed in the middle may hold a transaction open.
        if idle.len() < MOST_IDLE && connection.is_autocommit() {
            idle.push(connection);
        }
        outcome
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
