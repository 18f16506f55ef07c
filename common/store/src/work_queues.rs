//! Work queues in the table.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    CommitError, Key, Record, Store, Versioned, Write,
    commit::retry_on_conflict,
    deployment_polling::READY_AT_ONCE,
    query::Range,
    select::{Matcher, Source, Window},
    table::{self, Collection, Index, IndexKey, Shards, Subject},
    work_pools::{MOST_QUEUES, StoredWorkPool},
};
use domain::{
    events::work_pools as work_pool_events,
    filter::{WorkQueueFilter, work_queue::WorkQueueNameFilter},
    model::{Event, Timestamp, WorkPool, WorkPoolId, WorkQueue, WorkQueueId, work_queue::WorkQueueStatus},
    priorities::{Ranked, make_room},
};
use error::{Error, Result};

/// A work queue as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredWorkQueue {
    /// The queue.
    pub queue: WorkQueue,
    /// The events of the write that made this version.
    pub events: Vec<Event>,
    /// When the server looks whether the queue was polled lately.
    #[serde(default)]
    check: Option<Timestamp>,
}

impl StoredWorkQueue {
    /// Makes a queue that is written together with `events`.
    pub fn new(queue: WorkQueue, events: Vec<Event>) -> Self {
        Self { queue, events, check: None }
    }

    /// Makes a queue that is added to `pool`, with the event that tells of it.
    pub fn added(queue: WorkQueue, pool: &WorkPool) -> Result<Self> {
        let events = vec![work_pool_events::queue_created(&queue, pool)?];
        Ok(Self::new(queue, events))
    }
}

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

/// Whether two queues of a pool may have the same rank after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranks {
    /// Queues step back for the one that changes.
    Unique,
    /// The other queues stay as they are, as Prefect has it where a queue is changed by its id.
    Shared,
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

    /// Returns the queues' ranks.
    pub fn ranks(&self) -> Vec<Ranked> {
        self.queues.iter().map(|found| (found.record.queue.id, found.record.queue.priority)).collect()
    }
}

/// For how many seconds a poll is not written down again: readers see the last one within so many seconds.
const POLLS_APART_SECONDS: f64 = 5.0;

/// How many deployments of a queue follow it in one step.
const DEPLOYMENTS_AT_ONCE: usize = 100;

impl Store {
    /// Notes that `queues` of `pool` were polled at `now`; they and their deployments are ready then.
    ///
    /// What another poll has noted, or will at its next turn, needs no second attempt.
    pub async fn note_poll<'q>(
        &self,
        pool: &WorkPool,
        queues: impl IntoIterator<Item = &'q Versioned<StoredWorkQueue>>,
        now: Timestamp,
    ) -> Result<()> {
        let notes = queues.into_iter().map(|found| self.note_poll_of(pool, found, now));
        futures::future::try_join_all(notes).await.map(drop)
    }

    async fn note_poll_of(&self, pool: &WorkPool, found: &Versioned<StoredWorkQueue>, now: Timestamp) -> Result<()> {
        let before = &found.record.queue;
        let has_more_deployments = self.ready_deployments(before.id, READY_AT_ONCE, now).await?;
        let is_known = before.last_polled.is_some_and(|polled| now.seconds_since(polled) < POLLS_APART_SECONDS);
        if is_known && before.status != WorkQueueStatus::NotReady && !has_more_deployments {
            return Ok(());
        }
        let mut queue = WorkQueue { updated: now, last_polled: Some(now), ..before.clone() };
        let mut events = Vec::new();
        if queue.status == WorkQueueStatus::NotReady {
            queue.status = WorkQueueStatus::Ready;
            events.push(work_pool_events::queue_status(&queue, pool)?);
        }
        let mut kept = StoredWorkQueue { check: found.record.check, ..StoredWorkQueue::new(queue, events) };
        if has_more_deployments {
            kept.check = Some(now);
        }
        kept.check = kept.check.or_else(|| self.liveness.queue_deadline(&kept.queue));
        match self.commit(vec![self.replace(&kept, found.version)?]).await {
            Ok(()) | Err(CommitError::ConditionFailed(_) | CommitError::Contended) => Ok(()),
            Err(CommitError::Failed(error)) => Err(error),
        }
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
            found.record.events.clear();
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
                let kept = StoredWorkQueue { check: deadline, events: Vec::new(), ..found.record };
                self.commit(vec![self.replace(&kept, found.version)?]).await?;
            }
            Ok(has_more)
        })
        .await
    }

    /// Marks a queue that nobody polls as not ready.
    async fn silence_queue(&self, found: &mut Versioned<StoredWorkQueue>, now: Timestamp) -> Result<(), CommitError> {
        let kept = &mut found.record;
        kept.queue.status = WorkQueueStatus::NotReady;
        kept.queue.updated = now;
        if let Some(pool) = self.work_pool_of(&kept.queue).await? {
            kept.events.push(work_pool_events::queue_status(&kept.queue, &pool)?);
        }
        self.commit(vec![self.replace(kept, found.version)?]).await?;
        found.version += 1;
        Ok(())
    }

    /// Reads the pool called `name` with its queues.
    pub async fn work_pool_with_queues(&self, name: &str) -> Result<Option<PoolWithQueues>> {
        let Some(pool) = self.work_pool(name).await? else { return Ok(None) };
        let queues = self.work_queues_of(&pool.record).await?;
        Ok(Some(PoolWithQueues { pool, queues }))
    }

    /// Reads the queue `id`.
    pub async fn work_queue(&self, id: WorkQueueId) -> Result<Option<Versioned<StoredWorkQueue>>> {
        self.get(&table::work_queue(id)).await
    }

    /// Reads the pool of `queue`.
    pub async fn work_pool_of(&self, queue: &WorkQueue) -> Result<Option<WorkPool>> {
        let Some(id) = queue.work_pool_id else { return Ok(None) };
        Ok(self.get::<StoredWorkPool>(&table::work_pool(id)).await?.map(|found| found.record.pool))
    }

    /// Reads the pool of `queue` with all of its queues.
    pub async fn pool_of_queue(&self, queue: &WorkQueue) -> Result<Option<PoolWithQueues>> {
        let Some(id) = queue.work_pool_id else { return Ok(None) };
        let Some(pool) = self.get::<StoredWorkPool>(&table::work_pool(id)).await? else { return Ok(None) };
        let queues = self.work_queues_of(&pool.record).await?;
        Ok(Some(PoolWithQueues { pool, queues }))
    }

    /// Reads the first queue called `name` of any pool.
    pub async fn work_queue_called(&self, name: &str) -> Result<Option<WorkQueue>> {
        let filter = WorkQueueFilter {
            name: Some(WorkQueueNameFilter { any: Some(vec![name.to_owned()]), starts_with: None }),
            ..WorkQueueFilter::default()
        };
        Ok(self.work_queues(Some(&filter), Window { offset: 0, limit: 1 }).await?.pop())
    }

    /// Returns the queues of all pools that `filter` selects, within `window`, by name.
    pub async fn work_queues(&self, filter: Option<&WorkQueueFilter>, window: Window) -> Result<Vec<WorkQueue>> {
        let all = Range::all(self, Index::ByName, Collection::WorkQueues);
        let source = if let Some(ids) = filter.and_then(WorkQueueFilter::ids) {
            let mut keys: Vec<Key> = ids.iter().copied().map(table::work_queue).collect();
            keys.sort();
            keys.dedup();
            Source::Keys(keys)
        } else if let Some([name]) = filter.and_then(WorkQueueFilter::names) {
            Source::Ordered(all.starting_with(table::sort_with_id(name, "")))
        } else {
            Source::Ordered(all)
        };
        let by_name = |one: &StoredWorkQueue, other: &StoredWorkQueue| one.queue.name.cmp(&other.queue.name);
        let found = self.select(source, &mut WorkQueueMatcher(filter), by_name, window).await?;
        Ok(found.into_iter().map(|kept| kept.queue).collect())
    }

    /// Returns the names of the pools of `queues`.
    pub async fn names_of_pools(&self, queues: &[WorkQueue]) -> Result<HashMap<WorkPoolId, String>> {
        let mut keys: Vec<Key> = queues.iter().filter_map(|queue| queue.work_pool_id).map(table::work_pool).collect();
        keys.sort();
        keys.dedup();
        let pools = self.get_many::<StoredWorkPool>(&keys).await?;
        Ok(pools.into_iter().map(|found| (found.record.pool.id, found.record.pool.name)).collect())
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
    pub async fn add_work_queue(&self, to: &PoolWithQueues, queue: &StoredWorkQueue) -> Result<(), CommitError> {
        let mut pool = to.pool.record.clone();
        if pool.queues.len() >= MOST_QUEUES {
            return Err(Error::Unprocessable(format!("A work pool takes at most {MOST_QUEUES} work queues.")).into());
        }
        pool.queues.push(queue.queue.id);
        let mut writes = self.stepped_back(to, &queue.queue)?;
        writes.push(self.insert(queue)?);
        self.commit_with_pool(to, pool, writes).await
    }

    /// Replaces the queue that was read as `before`; queues in its way step back, unless they may share its rank.
    pub async fn update_work_queue(
        &self,
        of: &PoolWithQueues,
        before: &Versioned<StoredWorkQueue>,
        after: &StoredWorkQueue,
        ranks: Ranks,
    ) -> Result<(), CommitError> {
        let (old, new) = (&before.record.queue, &after.queue);
        if old.name == new.name && old.priority == new.priority {
            return self.commit(vec![self.changed_queue(before, after)?]).await;
        }
        let mut writes = match ranks {
            Ranks::Unique => self.stepped_back(of, new)?,
            Ranks::Shared => Vec::new(),
        };
        writes.push(self.changed_queue(before, after)?);
        self.commit_with_pool(of, of.pool.record.clone(), writes).await
    }

    /// Deletes a queue of a pool.
    pub async fn delete_work_queue(
        &self,
        of: &PoolWithQueues,
        found: &Versioned<StoredWorkQueue>,
    ) -> Result<(), CommitError> {
        let queue = &found.record.queue;
        let mut pool = of.pool.record.clone();
        pool.queues.retain(|id| *id != queue.id);
        let told = vec![work_pool_events::queue_deleted(queue, &pool.pool)?];
        let writes = vec![
            Write::DeleteVersion(table::work_queue(queue.id), found.version),
            self.notice(table::work_queue(queue.id).tombstone(), told)?,
        ];
        self.commit_with_pool(of, pool, writes).await
    }

    /// Returns the write that replaces the queue that was read as `before`, whose timer stays where it is.
    fn changed_queue(&self, before: &Versioned<StoredWorkQueue>, after: &StoredWorkQueue) -> Result<Write> {
        let check = before.record.check.or_else(|| self.liveness.queue_deadline(&after.queue));
        self.replace(&StoredWorkQueue { check, ..after.clone() }, before.version)
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
            writes.push(self.changed_queue(found, &StoredWorkQueue::new(other, Vec::new()))?);
        }
        Ok(writes)
    }

    /// Carries out `writes` if no queue of the pool was added, renamed, moved or deleted since it was read.
    async fn commit_with_pool(
        &self,
        read: &PoolWithQueues,
        mut pool: StoredWorkPool,
        mut writes: Vec<Write>,
    ) -> Result<(), CommitError> {
        pool.events.clear();
        writes.push(self.replace(&pool, read.pool.version)?);
        self.commit(writes).await
    }
}

/// Decides which queues match.
struct WorkQueueMatcher<'f>(Option<&'f WorkQueueFilter>);

impl Matcher<StoredWorkQueue> for WorkQueueMatcher<'_> {
    fn matches_all(&self) -> bool {
        self.0.is_none()
    }

    async fn keep(&mut self, _store: &Store, mut queues: Vec<StoredWorkQueue>) -> Result<Vec<StoredWorkQueue>> {
        queues.retain(|kept| self.0.is_none_or(|filter| filter.matches(&kept.queue)));
        Ok(queues)
    }
}
