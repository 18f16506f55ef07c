//! Work queues in the table.

use std::{
    collections::{BTreeSet, HashMap},
    slice,
};

use super::{
    CommitError, Entity, Item, Key, Record, Store, TableAccess, Versioned, Write,
    commit::{retry_on_conflict, was_written},
    deployment_polling::{self, READY_AT_ONCE},
    entity::Each,
    query::Range,
    select::{Source, Window},
    table::{self, Collection, Index, IndexKey, Shards, Subject},
    work_pools::{MOST_QUEUES, StoredWorkPool},
};
pub use domain::model::work_queue::StoredWorkQueue;
use domain::{
    events::Lifecycle,
    filter::{WorkQueueFilter, work_queue::WorkQueueNameFilter},
    model::{
        Timestamp, WorkQueue, WorkQueueId,
        work_queue::{PoolOfQueue, WorkQueueStatus},
    },
    priorities::{Ranked, first_free, make_room},
};
use error::{Error, Result};

crate::json_record!(StoredWorkQueue);

impl Record for StoredWorkQueue {
    const HEAD: &'static [&'static str] = &["queue"];

    fn key(&self) -> Key {
        table::work_queue(self.queue.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let id = self.queue.id;
        let all = shards.of(Collection::WorkQueues, id.0);
        let mut index_keys =
            vec![IndexKey { index: Index::ByName, pk: all, sk: table::sort_with_id(&self.queue.name, id) }];
        index_keys.extend(self.check.map(|check| {
            let sk = table::sort_with_id(&check.sortable(), id);
            IndexKey { index: Index::Related, pk: shards.of(Collection::Timers, id.0), sk }
        }));
        index_keys
    }
}

impl Entity for StoredWorkQueue {
    type Id = WorkQueueId;

    fn key_of(id: WorkQueueId) -> Key {
        table::work_queue(id)
    }
}

/// What [`Store::work_queues`] and [`Store::work_queue_called`] touch.
pub const FILTER: TableAccess = TableAccess::READS.via(&[Index::ByName]);

/// What [`Store::note_poll`] touches.
pub const NOTE_POLL: TableAccess = TableAccess::WRITES.and(deployment_polling::OF_QUEUE);

/// Whether two queues of a pool may have the same rank after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranks {
    /// Queues step back for the one that changes.
    Unique,
    /// The other queues stay as they are, as Prefect has it where a queue is changed by its id.
    Shared,
}

/// How a change or deletion names a queue.
#[derive(Clone, Copy, Debug)]
pub enum QueueName<'n> {
    /// By its id.
    Id(WorkQueueId),
    /// By the names of its pool and its own.
    InPool(&'n str, &'n str),
}

/// A work pool with all of its queues, by priority.
#[derive(Clone, Debug)]
pub struct PoolWithQueues {
    /// The pool.
    pub pool: Versioned<StoredWorkPool>,
    /// The queues.
    pub queues: Vec<Versioned<StoredWorkQueue>>,
}

impl PoolWithQueues {
    /// Returns the queue called `name`.
    pub fn queue(&self, name: &str) -> Option<&Versioned<StoredWorkQueue>> {
        self.queues.iter().find(|found| found.record.queue.name == name)
    }

    /// Returns the first rank that no queue has.
    pub fn first_free(&self) -> i64 {
        first_free(&self.ranks())
    }

    fn ranks(&self) -> Vec<Ranked> {
        self.queues.iter().map(|found| (found.record.queue.id, found.record.queue.priority)).collect()
    }
}

/// For how many seconds a poll is not written down again: readers see the last one within so many seconds.
const POLLS_APART_SECONDS: f64 = 5.0;

/// How many deployments of a queue follow it in one step.
const DEPLOYMENTS_AT_ONCE: usize = 100;

impl Store {
    /// Notes that `queues` were polled at `now`; they and their deployments are ready then.
    ///
    /// What another poll has noted, or will at its next turn, needs no second attempt.
    pub async fn note_poll<'q>(
        &self,
        queues: impl IntoIterator<Item = &'q Versioned<StoredWorkQueue>>,
        now: Timestamp,
    ) -> Result<()> {
        let notes = queues.into_iter().map(|found| self.note_poll_of(found, now));
        futures::future::try_join_all(notes).await.map(drop)
    }

    async fn note_poll_of(&self, found: &Versioned<StoredWorkQueue>, now: Timestamp) -> Result<()> {
        let before = &found.record.queue;
        let has_more_deployments = self.ready_deployments(before.id, READY_AT_ONCE, now).await?;
        let is_known = before.last_polled.is_some_and(|polled| now.seconds_since(polled) < POLLS_APART_SECONDS);
        if is_known && before.status != WorkQueueStatus::NotReady && !has_more_deployments {
            return Ok(());
        }
        let mut kept = found.record.clone();
        (kept.queue.updated, kept.queue.last_polled) = (now, Some(now));
        if kept.queue.status == WorkQueueStatus::NotReady {
            kept.queue.status = WorkQueueStatus::Ready;
        }
        if has_more_deployments {
            kept.check = Some(now);
        }
        kept.check = kept.check.or_else(|| self.liveness.queue_deadline(&kept.queue));
        was_written(self.replace_one(found, &kept, Vec::new()).await).map(drop)
    }

    /// Brings the queue under `key`, and its deployments, in line with when it was last polled; says whether there is
    /// more to do.
    ///
    /// The queue's timer goes on until all of its deployments have followed, so that nothing is left behind.
    pub async fn check_queue(&self, key: &Key, now: Timestamp) -> Result<bool> {
        retry_on_conflict(|| async {
            let Some(mut found) = self.get::<StoredWorkQueue>(key).await? else { return Ok(false) };
            if found.record.check.is_none_or(|check| check > now) {
                return Ok(false);
            }
            let id = found.record.queue.id;
            let deadline = self.liveness.queue_deadline(&found.record.queue).filter(|deadline| *deadline > now);
            let has_more = if deadline.is_some() {
                self.ready_deployments(id, DEPLOYMENTS_AT_ONCE, now).await?
            } else {
                if found.record.queue.status == WorkQueueStatus::Ready {
                    self.silence_queue(&mut found, now).await?;
                }
                let polled = found.record.queue.last_polled;
                self.unready_deployments(id, polled, DEPLOYMENTS_AT_ONCE, now).await?
            };
            if !has_more {
                let kept = StoredWorkQueue { check: deadline, ..found.record };
                self.commit(vec![self.replace(&kept, found.version)?]).await?;
            }
            Ok(has_more)
        })
        .await
    }

    /// Marks a queue that nobody polls as not ready.
    async fn silence_queue(&self, found: &mut Versioned<StoredWorkQueue>, now: Timestamp) -> Result<(), CommitError> {
        let mut after = found.record.clone();
        (after.queue.status, after.queue.updated) = (WorkQueueStatus::NotReady, now);
        self.replace_one(found, &after, Vec::new()).await?;
        *found = Versioned { record: after, version: found.version + 1 };
        Ok(())
    }

    /// Reads the pool called `name` with its queues.
    pub async fn work_pool_with_queues(&self, name: &str) -> Result<Option<PoolWithQueues>> {
        let Some(pool) = self.work_pool(name).await? else { return Ok(None) };
        let queues = self.work_queues_of(&pool.record).await?;
        Ok(Some(PoolWithQueues { pool, queues }))
    }

    /// Reads the pool called `name` with its queues.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn read_work_pool_with_queues(&self, name: &str) -> Result<PoolWithQueues> {
        self.work_pool_with_queues(name).await?.ok_or_else(|| Error::missing(StoredWorkPool::RESOURCE))
    }

    /// Reads the queue `id`.
    pub async fn work_queue(&self, id: WorkQueueId) -> Result<Option<Versioned<StoredWorkQueue>>> {
        self.get(&table::work_queue(id)).await
    }

    /// Reads the queue that is named, and its pool with all queues.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such queue, or no such pool.
    async fn work_queue_in_pool(&self, name: QueueName<'_>) -> Result<(PoolWithQueues, Versioned<StoredWorkQueue>)> {
        let no_queue = || Error::missing(StoredWorkQueue::RESOURCE);
        match name {
            QueueName::Id(id) => {
                let queue = self.read_one::<StoredWorkQueue>(id).await?;
                let pool = self.find::<StoredWorkPool>(queue.record.pool.id).await?.ok_or_else(no_queue)?;
                let queues = self.work_queues_of(&pool.record).await?;
                Ok((PoolWithQueues { pool, queues }, queue))
            }
            QueueName::InPool(pool, name) => {
                let of = self.read_work_pool_with_queues(pool).await?;
                let queue = of.queue(name).ok_or_else(no_queue)?.clone();
                Ok((of, queue))
            }
        }
    }

    /// Reads the first queue called `name` of any pool.
    pub async fn work_queue_called(&self, name: &str) -> Result<Option<StoredWorkQueue>> {
        let filter = WorkQueueFilter {
            name: Some(WorkQueueNameFilter { any: Some(vec![name.to_owned()]), starts_with: None }),
            ..WorkQueueFilter::default()
        };
        Ok(self.work_queues(Some(&filter), Window { offset: 0, limit: 1 }).await?.pop())
    }

    /// Returns the queues of all pools that `filter` selects, within `window`, by name.
    pub async fn work_queues(&self, filter: Option<&WorkQueueFilter>, window: Window) -> Result<Vec<StoredWorkQueue>> {
        let all = Range::all(self, Index::ByName, Collection::WorkQueues);
        let source = if let Some(ids) = filter.and_then(WorkQueueFilter::ids) {
            Source::keys(ids.iter().copied().map(table::work_queue))
        } else if let Some([name]) = filter.and_then(WorkQueueFilter::names) {
            Source::Ordered(all.starting_with(table::sort_with_id(name, "")))
        } else {
            Source::Ordered(all)
        };
        let by_name = |one: &StoredWorkQueue, other: &StoredWorkQueue| one.queue.name.cmp(&other.queue.name);
        self.select(source, &mut matcher(filter), by_name, window).await
    }

    /// Reads the queues `ids`, those that are still there.
    pub async fn work_queues_by_ids(
        &self,
        ids: impl IntoIterator<Item = WorkQueueId>,
    ) -> Result<HashMap<WorkQueueId, WorkQueue>> {
        let keys: BTreeSet<Key> = ids.into_iter().map(table::work_queue).collect();
        // Polls are written down seconds apart, and every reader of a busy deployment reads its queue.
        let found = self.get_many_settled::<StoredWorkQueue>(&Vec::from_iter(keys)).await?;
        Ok(found.into_iter().map(|found| (found.record.queue.id, found.record.queue)).collect())
    }

    /// Reads the queues of a pool, by priority.
    pub(super) async fn work_queues_of(&self, pool: &StoredWorkPool) -> Result<Vec<Versioned<StoredWorkQueue>>> {
        let keys: Vec<Key> = pool.queues.iter().copied().map(table::work_queue).collect();
        let mut queues = self.get_many::<StoredWorkQueue>(&keys).await?;
        queues.sort_by_key(|found| found.record.queue.priority);
        Ok(queues)
    }

    /// Adds `queue` to its pool; queues in its way step back.
    ///
    /// # Errors
    /// [`CommitError::Failed`] with [`Error::Unprocessable`] if the pool has [`MOST_QUEUES`] already.
    pub async fn add_work_queue(&self, to: &PoolWithQueues, queue: WorkQueue) -> Result<WorkQueue, CommitError> {
        let mut pool = to.pool.record.clone();
        if pool.queues.len() >= MOST_QUEUES {
            return Err(Error::Unprocessable(format!("A work pool takes at most {MOST_QUEUES} work queues.")).into());
        }
        pool.queues.push(queue.id);
        let mut writes = self.stepped_back(to, &queue)?;
        let kept = StoredWorkQueue::new(queue, PoolOfQueue::new(&pool.pool));
        writes.extend(self.additions(&kept)?);
        self.commit_with_pool(to, &pool, writes).await?;
        Ok(kept.queue)
    }

    /// Changes the queue that is named; queues in its way step back, unless they may share its rank.
    ///
    /// `change` is called again if another request changed the queue or its pool meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such queue or pool, [`Error::Conflict`] if another queue of the pool has the new
    /// name, and those of `change`.
    pub async fn update_work_queue(
        &self,
        name: QueueName<'_>,
        ranks: Ranks,
        change: impl Fn(&mut WorkQueue) -> Result<()> + Sync,
        beside: &[Write],
    ) -> Result<()> {
        retry_on_conflict(|| async {
            let (of, before) = self.work_queue_in_pool(name).await?;
            let mut after = before.record.queue.clone();
            change(&mut after)?;
            if of.queue(&after.name).is_some_and(|other| other.record.queue.id != after.id) {
                return Err(Error::integrity_conflict().into());
            }
            let old = &before.record.queue;
            let stays_in_place = old.name == after.name && old.priority == after.priority;
            let write = Write::Replace(self.changed_queue(&before, after.clone(), Store::announced)?);
            if stays_in_place {
                return self.commit([slice::from_ref(&write), beside].concat()).await;
            }
            let mut writes = match ranks {
                Ranks::Unique => self.stepped_back(&of, &after)?,
                Ranks::Shared => Vec::new(),
            };
            writes.push(write);
            writes.extend_from_slice(beside);
            self.commit_with_pool(&of, &of.pool.record, writes).await
        })
        .await
    }

    /// Deletes the queue that is named; returns its id.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such queue or pool, [`Error::Conflict`] if it is its pool's default queue.
    pub async fn delete_work_queue(&self, name: QueueName<'_>, now: Timestamp) -> Result<WorkQueueId> {
        retry_on_conflict(|| async {
            let (of, found) = self.work_queue_in_pool(name).await?;
            let id = found.record.queue.id;
            let mut pool = of.pool.record.clone();
            if pool.pool.default_queue_id == Some(id) {
                return Err(Error::integrity_conflict().into());
            }
            pool.queues.retain(|queue| *queue != id);
            let writes = self.deletions(&found, now)?;
            self.commit_with_pool(&of, &pool, writes).await?;
            Ok(id)
        })
        .await
    }

    /// Returns the item of `queue`, which was read as `before`, with its timer where it was.
    fn changed_queue(
        &self,
        before: &Versioned<StoredWorkQueue>,
        queue: WorkQueue,
        item: impl Fn(&Self, &StoredWorkQueue, u64) -> Result<Item>,
    ) -> Result<Item> {
        let check = before.record.check.or_else(|| self.liveness.queue_deadline(&queue));
        item(self, &StoredWorkQueue { queue, check, ..before.record.clone() }, before.version + 1)
    }

    /// Takes the flow run, or the deployment whose readiness is kept, under `key` out of the deleted queue `queue`.
    pub async fn leave_work_queue(&self, key: &Key, queue: WorkQueueId) -> Result<()> {
        match Subject::of(key) {
            Some(Subject::FlowRun(id)) => {
                retry_on_conflict(|| async {
                    let Some(mut run) = self.flow_run(id).await? else { return Ok(()) };
                    if run.record.work_queue_id != Some(queue) {
                        return Ok(());
                    }
                    run.record.work_queue_id = None;
                    (run.record.work_pool_id, run.record.work_pool_name) = (None, None);
                    self.commit(vec![self.replace(&run.record, run.version)?]).await
                })
                .await
            }
            Some(Subject::Readiness(id)) => {
                retry_on_conflict(|| async {
                    let Some(mut found) = self.deployment(id).await? else { return Ok(()) };
                    if found.record.work_queue_id != Some(queue) {
                        return Ok(());
                    }
                    (found.record.work_queue_id, found.record.queue_assignment) = (None, None);
                    self.commit(vec![self.replace(&found.record, found.version)?]).await
                })
                .await?;
                self.place_deployment(id, None).await
            }
            _ => Ok(()),
        }
    }

    /// Returns the writes of the queues, other than `queue`, that make room for its priority.
    fn stepped_back(&self, of: &PoolWithQueues, queue: &WorkQueue) -> Result<Vec<Write>> {
        let moved = make_room(&of.ranks(), queue.id, queue.priority);
        let rank = |id: WorkQueueId| moved.iter().find(|(other, _)| *other == id).map(|(_, priority)| *priority);
        let mut writes = Vec::new();
        for found in of.queues.iter().filter(|found| found.record.queue.id != queue.id) {
            let Some(priority) = rank(found.record.queue.id) else { continue };
            let other = WorkQueue { priority, updated: Timestamp::now(), ..found.record.queue.clone() };
            // Prefect tells of the queue alone that made the others step back.
            writes.push(Write::Replace(self.changed_queue(found, other, Store::item)?));
        }
        Ok(writes)
    }

    /// Carries out `writes` if no queue of the pool was added, renamed, moved or deleted since it was read.
    async fn commit_with_pool(
        &self,
        read: &PoolWithQueues,
        pool: &StoredWorkPool,
        mut writes: Vec<Write>,
    ) -> Result<(), CommitError> {
        writes.push(self.replace(pool, read.pool.version)?);
        self.commit(writes).await
    }
}

fn matcher(filter: Option<&WorkQueueFilter>) -> Each<impl Fn(&StoredWorkQueue) -> bool> {
    Each(filter.map(|filter| |kept: &StoredWorkQueue| filter.matches(&kept.queue)))
}
