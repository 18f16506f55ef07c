//! The end of items whose time has come, as DynamoDB deletes them by itself.

use rusqlite::{Connection, params};
use store::Key;
use tokio::sync::oneshot;

use crate::{Database, SqliteError, changes::Change, item, transaction::delete, writer::Job};

/// How many items one transaction deletes: other writes get their turn in between.
const AT_ONCE: usize = 100;

/// About how many bytes the deletion of an item writes.
const WEIGHT: usize = 4 * 1024;

/// Deletes some items that have expired.
struct Sweep {
    deleted: usize,
    changes: Vec<Change>,
    reply: oneshot::Sender<Result<usize, SqliteError>>,
}

impl Job for Sweep {
    fn run(&mut self, connection: &Connection) -> Result<(), SqliteError> {
        (self.deleted, self.changes) = (0, Vec::new());
        let mut statement = connection.prepare_cached(
            "SELECT pk, sk FROM items WHERE expires >= 0 AND expires < unixepoch() ORDER BY expires LIMIT ?1",
        )?;
        let keys = statement
            .query_map(params![i64::try_from(AT_ONCE).unwrap_or(i64::MAX)], |row| {
                Ok(Key { pk: row.get(0)?, sk: row.get(1)? })
            })?
            .collect::<Result<Vec<_>, _>>()?;
        for key in keys {
            let Some(stored) = item::find(connection, &key)? else { continue };
            self.changes.extend(delete(connection, stored)?);
            self.deleted += 1;
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        AT_ONCE * WEIGHT
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn settle(self: Box<Self>, outcome: Result<(), SqliteError>) {
        let _ = self.reply.send(outcome.map(|()| self.deleted));
    }
}

impl Database {
    /// Deletes the items whose time to live has passed; returns how many.
    ///
    /// # Errors
    /// Those of the database; what was deleted before stays so.
    pub async fn sweep_expired(&self) -> Result<usize, SqliteError> {
        let mut deleted = 0;
        loop {
            let (reply, answer) = oneshot::channel();
            self.0.writer.submit(Box::new(Sweep { deleted: 0, changes: Vec::new(), reply })).await;
            let lost = |_| Err(SqliteError::Panicked("nobody told how it ended".into()));
            let swept = answer.await.unwrap_or_else(lost)?;
            deleted += swept;
            if swept < AT_ONCE {
                return Ok(deleted);
            }
        }
    }
}
