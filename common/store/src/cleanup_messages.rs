//! Cleanup messages in the table, beside the pool whose workers they are for: they go when the pool goes.

use domain::model::{CleanupMessage, CleanupMessageId, Timestamp, WorkPoolId};
use error::Result;

use super::{
    Item, Key, Record, Store, Versioned, Write,
    commit::was_written,
    csrf_tokens,
    query::{Range, Reader},
    table::{self, Collection, Index, IndexKey, Shards},
};

crate::json_record!(CleanupMessage);

impl Record for CleanupMessage {
    const HEAD: &'static [&'static str] = &["id", "work_pool_id", "kind", "delivery_count", "reservation"];

    fn key(&self) -> Key {
        table::cleanup_message(self.work_pool_id, self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let timer = |check: Timestamp| {
            let sk = table::sort_with_id(&check.sortable(), self.id);
            IndexKey { index: Index::Related, pk: shards.of(Collection::Timers, self.id.0), sk }
        };
        self.check.map(timer).into_iter().collect()
    }
}

impl Store {
    /// Returns the write that leaves `message` for the workers of its pool.
    pub fn leave_cleanup(&self, message: &CleanupMessage) -> Result<Write> {
        self.insert(message)
    }

    /// Reads the cleanups that wait for the workers of `pool`, the oldest first, so many at once.
    pub fn cleanups(&self, pool: WorkPoolId, at_once: usize) -> Reader<'_> {
        self.read(Range::partition(table::work_pool(pool).pk).starting_with(table::CLEANUPS), at_once)
    }

    /// Reads the cleanup `id` of `pool`.
    pub async fn cleanup(&self, pool: WorkPoolId, id: CleanupMessageId) -> Result<Option<Versioned<CleanupMessage>>> {
        self.get(&table::cleanup_message(pool, id)).await
    }

    /// Changes a cleanup that was read at `version`; returns whether it was still that.
    pub async fn change_cleanup(&self, message: &CleanupMessage, version: u64) -> Result<bool> {
        let item = Item::of(message, version + 1, self.shards())?;
        was_written(self.commit(vec![Write::Replace(item)]).await)
    }

    /// Deletes a cleanup that is done; returns whether it was still as it was read.
    pub async fn delete_cleanup(&self, message: &Versioned<CleanupMessage>) -> Result<bool> {
        was_written(self.commit(vec![Write::DeleteVersion(message.record.key(), message.version)]).await)
    }

    /// Makes what a worker shows of a message that it was delivered.
    pub fn reservation_token(&self) -> Result<String> {
        csrf_tokens::random_token()
    }
}
