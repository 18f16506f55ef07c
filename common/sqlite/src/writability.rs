//! Whether the database's file takes writes: what the server's readiness goes by.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{SqliteError, writer::Writer};

/// For how long what was learned is gone by; a write that tries the file is made this often at most.
const HOLDS: Duration = Duration::from_secs(3);

/// What the last commit told of the file.
#[derive(Debug, Default)]
pub(crate) struct Writability(Mutex<Option<(Instant, Result<(), SqliteError>)>>);

impl Writability {
    /// Notes how a commit ended.
    pub(crate) fn note(&self, outcome: Result<(), &SqliteError>) {
        *self.learned() = Some((Instant::now(), outcome.map_err(Clone::clone)));
    }

    fn recall(&self) -> Option<Result<(), SqliteError>> {
        self.learned().as_ref().filter(|(when, _)| when.elapsed() < HOLDS).map(|(_, outcome)| outcome.clone())
    }

    fn learned(&self) -> MutexGuard<'_, Option<(Instant, Result<(), SqliteError>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what the last commit told, or tries one if that is some time ago.
///
/// # Errors
/// What is wrong with the file.
pub(crate) async fn check(writer: &Arc<Writer>) -> Result<(), SqliteError> {
    match writer.writability().recall() {
        Some(outcome) => outcome,
        None => {
            writer
                .write(0, |connection| {
                    let statement = "INSERT OR REPLACE INTO write_probe VALUES (1, unixepoch('subsec'))";
                    connection.prepare_cached(statement)?.execute([])?;
                    Ok(())
                })
                .await
        }
    }
}
