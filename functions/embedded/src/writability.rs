//! Whether the database's file takes writes: what `DescribeTable` goes by, as DynamoDB's own answer does.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use crate::{EmbeddedError, engines::Engines, stream};

/// For how long what was learned is gone by; a write that tries the file is made this often at most.
const HOLDS: Duration = Duration::from_secs(3);

/// What the last write told of the file; clones share it.
#[derive(Clone)]
pub(crate) struct Writability {
    location: Arc<str>,
    learned: Arc<Mutex<Option<Learned>>>,
    /// Tries the file. It is opened with the others, and so may write as long as they may.
    connection: Arc<tokio::sync::Mutex<Connection>>,
}

#[derive(Clone)]
struct Learned {
    when: Instant,
    outcome: Result<(), String>,
}

impl Writability {
    pub(crate) fn new(location: &Arc<str>) -> Result<Self, EmbeddedError> {
        let connection = Arc::new(tokio::sync::Mutex::new(stream::connect(location)?));
        Ok(Self { location: location.clone(), learned: Arc::default(), connection })
    }

    /// Notes how a write ended: what went wrong with the file, or nothing.
    pub(crate) fn note(&self, outcome: Result<(), String>) {
        let learned = Learned { when: Instant::now(), outcome };
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner) = Some(learned);
    }

    /// Says what the last write told, or tries one if that is some time ago; the error says what is wrong.
    pub(crate) async fn check(&self, engines: &Engines) -> Result<(), String> {
        let mut connection = self.connection.lock().await;
        if let Some(outcome) = self.recall() {
            return outcome;
        }
        let outcome = {
            let _turn = engines.to_write().await;
            self.try_to_write(&mut connection).map_err(|error| error.to_string())
        };
        self.note(outcome.clone());
        outcome
    }

    fn recall(&self) -> Option<Result<(), String>> {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.as_ref().filter(|learned| learned.when.elapsed() < HOLDS).map(|learned| learned.outcome.clone())
    }

    /// Writes a row that means nothing.
    fn try_to_write(&self, connection: &mut Connection) -> Result<(), EmbeddedError> {
        stream::renew(connection, &self.location)?;
        Ok(connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS _write_probe (id INTEGER PRIMARY KEY, written_at REAL NOT NULL);
             INSERT OR REPLACE INTO _write_probe VALUES (1, unixepoch('subsec'));",
        )?)
    }
}
