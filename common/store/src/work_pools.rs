//! Work pools in the table.
//!
//! A pool's item lists its queues, and is written whenever a queue is added, renamed, moved or deleted: so its version
//! guards the names and ranks of all of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    CommitError, Item, Key, Record, Store, Versioned, Write,
    commit::retry_on_conflict,
    query::Range,
    select::{Matcher, Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
    work_queues::{PoolWithQueues, StoredWorkQueue},
};
use domain::{
    events::work_pools as work_pool_events,
    filter::WorkPoolFilter,
    model::{
        Event, EventId, Object, Timestamp, WorkPool, WorkPoolId, WorkQueue, WorkQueueId,
        work_pool::{FOR_AGENTS, WorkPoolStatus, WorkPoolStorageConfiguration},
    },
};
use error::{Error, Result};

/// A work pool as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredWorkPool {
    /// The pool.
    pub pool: WorkPool,
    /// Its queues, in no order.
    pub queues: Vec<WorkQueueId>,
    /// The event of its last change of status, which the next one follows.
    pub last_status: Option<StatusEvent>,
    /// The events of the write that made this version.
    pub events: Vec<Event>,
    /// When the server looks whether a worker still serves the pool, after one was deleted.
    #[serde(default)]
    pub check: Option<Timestamp>,
}

/// For how many seconds a change of status is one that the next one's event follows.
const RECENT_SECONDS: f64 = 600.0;

impl StoredWorkPool {
    /// Makes `pool` with its default queue, both with the events that tell of them.
    pub fn with_default_queue(mut pool: WorkPool) -> Result<(Self, StoredWorkQueue)> {
        let id = WorkQueueId::new();
        pool.default_queue_id = Some(id);
        let mut queue = WorkQueue::new(id, "default", 1, pool.id, pool.created);
        queue.description = Some("The work pool's default queue.".into());
        let queue = StoredWorkQueue::added(queue, &pool)?;
        let events = vec![work_pool_events::pool_created(&pool)?];
        Ok((Self { pool, queues: vec![id], last_status: None, events, check: None }, queue))
    }

    /// Returns the pool as it enters `status` at `now`, with the event that tells of it.
    pub fn entering(&self, status: WorkPoolStatus, now: Timestamp) -> Result<Self> {
        let mut after = self.clone().without_events();
        after.pool.updated = now;
        after.pool.status = Some(status);
        let recent = self.last_status.filter(|last| now.seconds_since(last.occurred) < RECENT_SECONDS);
        let event = work_pool_events::pool_status(&after.pool, recent.map(|last| last.id))?;
        after.last_status = Some(StatusEvent { id: event.id, occurred: event.occurred });
        after.events.push(event);
        Ok(after)
    }

    /// Returns the pool without the events of the write before.
    #[must_use]
    pub fn without_events(self) -> Self {
        Self { events: Vec::new(), ..self }
    }
}

/// The event of a change of status.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StatusEvent {
    /// The event's id.
    pub id: EventId,
    /// When the status changed.
    pub occurred: Timestamp,
}

crate::json_record!(StoredWorkPool);

impl Record for StoredWorkPool {
    const HEAD: &'static [&'static str] = &["pool"];

    fn key(&self) -> Key {
        table::work_pool(self.pool.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let pk = shards.of(Collection::WorkPools, self.pool.id.0);
        let mut index_keys =
            vec![IndexKey { index: Index::ByName, pk, sk: table::sort_with_id(&self.pool.name, self.pool.id) }];
        index_keys.extend(self.check.map(|check| {
            let sk = table::sort_with_id(&check.sortable(), self.pool.id);
            IndexKey { index: Index::Related, pk: shards.of(Collection::Timers, self.pool.id.0), sk }
        }));
        index_keys
    }
}

/// How many queues a pool has at most, so that one transaction can change or delete all of them.
pub const MOST_QUEUES: usize = 90;

impl Store {
    /// Reads the pool called `name`.
    pub async fn work_pool(&self, name: &str) -> Result<Option<Versioned<StoredWorkPool>>> {
        Ok(self.work_pool_beside(name, |_| Vec::new()).await?.map(|(pool, _)| pool))
    }

    /// Reads the pool called `name`, and with it the items under the keys that `beside` names.
    ///
    /// A process that has met the name before needs one read, others two. Names never change.
    pub(super) async fn work_pool_beside(
        &self,
        name: &str,
        beside: impl Fn(WorkPoolId) -> Vec<Key>,
    ) -> Result<Option<(Versioned<StoredWorkPool>, Vec<Item>)>> {
        let read = async |id: WorkPoolId| {
            let keys: Vec<Key> = std::iter::once(table::work_pool(id)).chain(beside(id)).collect();
            let mut items = self.get_items(&keys).await?;
            if items.first().is_none_or(|item| item.key != table::work_pool(id)) {
                return Ok(None);
            }
            Ok::<_, Error>(Some((items.remove(0).versioned()?, items)))
        };
        if let Some(id) = self.work_pool_ids.recall(name)
            && let Some(found) = read(id).await?
        {
            return Ok(Some(found));
        }
        let Some(id) = self.owner(&table::unique_work_pool_name(name)).await?.map(WorkPoolId::from) else {
            return Ok(None);
        };
        let found = read(id).await?;
        if found.is_some() {
            self.work_pool_ids.learn(name, id);
        }
        Ok(found)
    }

    /// Reads the pool `id`.
    pub async fn work_pool_by_id(&self, id: WorkPoolId) -> Result<Option<Versioned<StoredWorkPool>>> {
        self.get(&table::work_pool(id)).await
    }

    /// Returns the pools that `filter` selects, within `window`, by name.
    pub async fn work_pools(&self, filter: Option<&WorkPoolFilter>, window: Window) -> Result<Vec<StoredWorkPool>> {
        let source = self.work_pool_source(filter).await?;
        let by_name = |one: &StoredWorkPool, other: &StoredWorkPool| one.pool.name.cmp(&other.pool.name);
        self.select(source, &mut WorkPoolMatcher(filter), by_name, window).await
    }

    /// Counts the pools that `filter` selects.
    pub async fn count_work_pools(&self, filter: Option<&WorkPoolFilter>) -> Result<u64> {
        let source = self.work_pool_source(filter).await?;
        self.select_count::<StoredWorkPool>(source, &mut WorkPoolMatcher(filter)).await
    }

    async fn work_pool_source(&self, filter: Option<&WorkPoolFilter>) -> Result<Source> {
        let ids: Vec<WorkPoolId> = if let Some(ids) = filter.and_then(WorkPoolFilter::ids) {
            ids.to_vec()
        } else if let Some(names) = filter.and_then(WorkPoolFilter::names) {
            let claims: Vec<Key> = names.iter().map(|name| table::unique_work_pool_name(name)).collect();
            self.owners(&claims).await?.into_iter().map(WorkPoolId::from).collect()
        } else {
            return Ok(Source::Ordered(Range::all(self, Index::ByName, Collection::WorkPools)));
        };
        let mut keys: Vec<Key> = ids.into_iter().map(table::work_pool).collect();
        keys.sort();
        keys.dedup();
        Ok(Source::Keys(keys))
    }

    /// Adds `pool` with its default queue.
    ///
    /// # Errors
    /// [`Error::Conflict`] if there is one of its name.
    pub async fn add_work_pool(&self, pool: &StoredWorkPool, default_queue: &StoredWorkQueue) -> Result<()> {
        let claim = self.claim(table::unique_work_pool_name(&pool.pool.name), pool.pool.id)?;
        let writes = vec![self.insert(pool)?, claim, self.insert(default_queue)?];
        match self.commit(writes).await {
            Ok(()) => Ok(()),
            Err(CommitError::ConditionFailed(_)) if self.get_item(&pool.key()).await?.is_some() => Ok(()),
            Err(CommitError::ConditionFailed(_)) => {
                Err(Error::Conflict("A work pool with this name already exists.".into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the pool that queues belong to of which no pool is named, with its queues; makes it if there is none.
    ///
    /// Prefect keeps it from the time when agents polled queues without pools.
    pub async fn default_agent_pool(&self, now: Timestamp) -> Result<(PoolWithQueues, bool)> {
        retry_on_conflict(|| async {
            if let Some(found) = self.work_pool_with_queues(DEFAULT_AGENT_POOL).await? {
                return Ok((found, false));
            }
            let (pool, queue) = StoredWorkPool::with_default_queue(default_agent_pool(now))?;
            match self.add_work_pool(&pool, &queue).await {
                Ok(()) => {}
                // Another request has made it meanwhile.
                Err(Error::Conflict(_)) => return Err(CommitError::Contended),
                Err(error) => return Err(error.into()),
            }
            let (pool, queue) = (Versioned { record: pool, version: 1 }, Versioned { record: queue, version: 1 });
            Ok((PoolWithQueues { pool, queues: vec![queue] }, true))
        })
        .await
    }

    /// Replaces a pool that was read at `version`; its name and its queues stay.
    pub async fn update_work_pool(&self, pool: &StoredWorkPool, version: u64) -> Result<(), CommitError> {
        self.commit(vec![self.replace(pool, version)?]).await
    }

    /// Deletes a pool that was read at its version, with its queues.
    pub async fn delete_work_pool(&self, found: &Versioned<StoredWorkPool>) -> Result<(), CommitError> {
        let StoredWorkPool { pool, queues, .. } = &found.record;
        let mut writes = vec![
            Write::DeleteVersion(table::work_pool(pool.id), found.version),
            Write::Delete(table::unique_work_pool_name(&pool.name)),
        ];
        writes.extend(queues.iter().map(|id| Write::Delete(table::work_queue(*id))));
        let mut events = Vec::new();
        for queue in self.work_queues_of(&found.record).await? {
            events.push(work_pool_events::queue_deleted(&queue.record.queue, pool)?);
        }
        events.push(work_pool_events::pool_deleted(pool)?);
        writes.push(self.notice(table::work_pool(pool.id).tombstone(), events)?);
        self.commit(writes).await
    }

    /// Returns the write that leaves `events` of something deleted to the stream's consumer.
    pub(super) fn notice(&self, key: Key, events: Vec<Event>) -> Result<Write> {
        let mut notice = Item::of(&LastEvents { key, events }, 1, self.shards())?;
        notice.expires = Some(Timestamp::now().plus(NOTICE_KEPT).as_seconds());
        Ok(Write::Put(notice))
    }
}

/// The name of the pool that queues belong to of which no pool is named.
pub const DEFAULT_AGENT_POOL: &str = "default-agent-pool";

fn default_agent_pool(now: Timestamp) -> WorkPool {
    WorkPool {
        id: WorkPoolId::new(),
        created: now,
        updated: now,
        name: DEFAULT_AGENT_POOL.into(),
        description: None,
        r#type: FOR_AGENTS.into(),
        base_job_template: Object::new(),
        is_paused: false,
        concurrency_limit: None,
        status: Some(WorkPoolStatus::NotReady),
        default_queue_id: None,
        storage_configuration: WorkPoolStorageConfiguration::default(),
    }
}

/// How long something deleted is remembered: as long as DynamoDB keeps what its stream has to tell.
const NOTICE_KEPT: Duration = Duration::from_hours(24);

/// What is kept of a deleted pool or queue for the stream's consumer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastEvents {
    /// Where this is kept.
    #[serde(skip, default = "nowhere")]
    key: Key,
    /// The events of the deletion.
    pub events: Vec<Event>,
}

fn nowhere() -> Key {
    Key { pk: String::new(), sk: String::new() }
}

crate::json_record!(LastEvents);

impl Record for LastEvents {
    const HEAD: &'static [&'static str] = &["events"];

    fn key(&self) -> Key {
        self.key.clone()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// Decides which pools match.
struct WorkPoolMatcher<'f>(Option<&'f WorkPoolFilter>);

impl Matcher<StoredWorkPool> for WorkPoolMatcher<'_> {
    fn matches_all(&self) -> bool {
        self.0.is_none()
    }

    async fn keep(&mut self, _store: &Store, mut pools: Vec<StoredWorkPool>) -> Result<Vec<StoredWorkPool>> {
        pools.retain(|kept| self.0.is_none_or(|filter| filter.matches(&kept.pool)));
        Ok(pools)
    }
}
