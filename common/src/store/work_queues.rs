//! Work queues in the table.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    CommitError, Key, Record, Store, Versioned, Write,
    table::{self, Place, Shards},
    work_pools::{KeptWorkPool, MOST_QUEUES},
};
use crate::{
    error::{Error, Result},
    model::{Event, Timestamp, WorkQueue, WorkQueueId},
    work_pool_events,
    work_queue_priorities::{Ranked, make_room},
};

/// A work queue as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptWorkQueue {
    /// The queue.
    pub queue: WorkQueue,
    /// The events of the write that made this version.
    pub events: Vec<Event>,
}

impl Record for KeptWorkQueue {
    const HEAD: &'static [&'static str] = &["queue"];

    fn key(&self) -> Key {
        table::work_queue(self.queue.id)
    }

    fn places(&self, _shards: Shards) -> Vec<Place> {
        Vec::new()
    }
}

/// A work pool with all of its queues, by priority.
#[derive(Clone, Debug)]
pub struct PoolWithQueues {
    /// The pool.
    pub pool: Versioned<KeptWorkPool>,
    /// The queues.
    pub queues: Vec<Versioned<KeptWorkQueue>>,
}

impl PoolWithQueues {
    /// Returns the queue called `name`.
    pub fn queue(&self, name: &str) -> Option<&Versioned<KeptWorkQueue>> {
        self.queues.iter().find(|found| found.record.queue.name == name)
    }

    /// Returns the queues' ranks.
    pub fn ranks(&self) -> Vec<Ranked> {
        self.queues.iter().map(|found| (found.record.queue.id, found.record.queue.priority)).collect()
    }
}

impl Store {
    /// Reads the pool called `name` with its queues.
    pub async fn work_pool_with_queues(&self, name: &str) -> Result<Option<PoolWithQueues>> {
        let Some(pool) = self.work_pool(name).await? else { return Ok(None) };
        let queues = self.work_queues_of(&pool.record).await?;
        Ok(Some(PoolWithQueues { pool, queues }))
    }

    /// Reads the queue `id`.
    pub async fn work_queue(&self, id: WorkQueueId) -> Result<Option<Versioned<KeptWorkQueue>>> {
        self.get(&table::work_queue(id)).await
    }

    /// Reads the queues `ids`, those that are still there.
    pub async fn work_queues_by_ids(
        &self,
        ids: impl IntoIterator<Item = WorkQueueId>,
    ) -> Result<HashMap<WorkQueueId, WorkQueue>> {
        let keys: BTreeSet<Key> = ids.into_iter().map(table::work_queue).collect();
        let found = self.get_many::<KeptWorkQueue>(&Vec::from_iter(keys)).await?;
        Ok(found.into_iter().map(|found| (found.record.queue.id, found.record.queue)).collect())
    }

    /// Reads the queues of a pool, by priority.
    pub(super) async fn work_queues_of(&self, pool: &KeptWorkPool) -> Result<Vec<Versioned<KeptWorkQueue>>> {
        let keys: Vec<Key> = pool.queues.iter().copied().map(table::work_queue).collect();
        let mut queues = self.get_many::<KeptWorkQueue>(&keys).await?;
        queues.sort_by_key(|found| found.record.queue.priority);
        Ok(queues)
    }

    /// Adds `queue` to its pool; queues in its way step back.
    ///
    /// # Errors
    /// [`CommitError::Failed`] with [`Error::Unprocessable`] if the pool has [`MOST_QUEUES`] already.
    pub async fn add_work_queue(&self, to: &PoolWithQueues, queue: &KeptWorkQueue) -> Result<(), CommitError> {
        let mut pool = to.pool.record.clone();
        if pool.queues.len() >= MOST_QUEUES {
            return Err(Error::Unprocessable(format!("A work pool takes at most {MOST_QUEUES} work queues.")).into());
        }
        pool.queues.push(queue.queue.id);
        let mut writes = self.stepped_back(to, &queue.queue)?;
        writes.push(self.insert(queue)?);
        self.commit_with_pool(to, pool, writes).await
    }

    /// Replaces the queue that was read as `before`; queues in its way step back.
    pub async fn update_work_queue(
        &self,
        of: &PoolWithQueues,
        before: &Versioned<KeptWorkQueue>,
        after: &KeptWorkQueue,
    ) -> Result<(), CommitError> {
        let (old, new) = (&before.record.queue, &after.queue);
        let write = self.replace(after, before.version)?;
        if old.name == new.name && old.priority == new.priority {
            return self.commit(vec![write]).await;
        }
        let mut writes = self.stepped_back(of, new)?;
        writes.push(write);
        self.commit_with_pool(of, of.pool.record.clone(), writes).await
    }

    /// Deletes a queue of a pool.
    pub async fn delete_work_queue(
        &self,
        of: &PoolWithQueues,
        found: &Versioned<KeptWorkQueue>,
    ) -> Result<(), CommitError> {
        let queue = &found.record.queue;
        let mut pool = of.pool.record.clone();
        pool.queues.retain(|id| *id != queue.id);
        let told = vec![work_pool_events::queue_deleted(queue, &pool.pool)?];
        let writes = vec![
            Write::DeleteVersion(table::work_queue(queue.id), found.version),
            self.notice(table::deleted_work_queue(queue.id), told)?,
        ];
        self.commit_with_pool(of, pool, writes).await
    }

    /// Returns the writes of the queues, other than `queue`, that make room for its priority.
    fn stepped_back(&self, of: &PoolWithQueues, queue: &WorkQueue) -> Result<Vec<Write>> {
        let moved = make_room(&of.ranks(), queue.id, queue.priority);
        let rank = |id: WorkQueueId| moved.iter().find(|(other, _)| *other == id).map(|(_, priority)| *priority);
        let mut writes = Vec::new();
        for found in of.queues.iter().filter(|found| found.record.queue.id != queue.id) {
            let Some(priority) = rank(found.record.queue.id) else { continue };
            let other = WorkQueue { priority, updated: Timestamp::now(), ..found.record.queue.clone() };
            writes.push(self.replace(&KeptWorkQueue { queue: other, events: Vec::new() }, found.version)?);
        }
        Ok(writes)
    }

    /// Carries out `writes` if no queue of the pool was added, renamed, moved or deleted since it was read.
    async fn commit_with_pool(
        &self,
        read: &PoolWithQueues,
        mut pool: KeptWorkPool,
        mut writes: Vec<Write>,
    ) -> Result<(), CommitError> {
        pool.events.clear();
        writes.push(self.replace(&pool, read.pool.version)?);
        self.commit(writes).await
    }
}
