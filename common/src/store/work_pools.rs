//! Work pools in the table.
//!
//! A pool's item lists its queues, and is written whenever a queue is added, renamed, moved or deleted: so its version
//! guards the names and ranks of all of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    CommitError, Item, Key, Record, Store, Versioned, Write,
    query::Range,
    select::{Matcher, Source, Window},
    table::{self, Collection, Index, Place, Shards},
    work_queues::KeptWorkQueue,
};
use crate::{
    error::{Error, Result},
    filter::WorkPoolFilter,
    model::{Event, EventId, Timestamp, WorkPool, WorkPoolId, WorkQueueId},
    work_pool_events,
};

/// A work pool as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptWorkPool {
    /// The pool.
    pub pool: WorkPool,
    /// Its queues, in no order.
    pub queues: Vec<WorkQueueId>,
    /// The event of its last change of status, which the next one follows.
    pub last_status: Option<StatusEvent>,
    /// The events of the write that made this version.
    pub events: Vec<Event>,
}

/// The event of a change of status.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StatusEvent {
    /// The event's id.
    pub id: EventId,
    /// When the status changed.
    pub occurred: Timestamp,
}

impl Record for KeptWorkPool {
    const HEAD: &'static [&'static str] = &["pool"];

    fn key(&self) -> Key {
        table::work_pool(self.pool.id)
    }

    fn places(&self, shards: Shards) -> Vec<Place> {
        let pk = shards.of(Collection::WorkPools, self.pool.id.0);
        vec![Place { index: Index::ByName, pk, sk: table::sort_with_id(&self.pool.name, self.pool.id) }]
    }
}

/// How many queues a pool has at most, so that one transaction can change or delete all of them.
pub const MOST_QUEUES: usize = 90;

impl Store {
    /// Reads the pool called `name`.
    pub async fn work_pool(&self, name: &str) -> Result<Option<Versioned<KeptWorkPool>>> {
        match self.owner(&table::unique_work_pool_name(name)).await? {
            Some(id) => self.get(&table::work_pool(id.into())).await,
            None => Ok(None),
        }
    }

    /// Reads the pool `id`.
    pub async fn work_pool_by_id(&self, id: WorkPoolId) -> Result<Option<Versioned<KeptWorkPool>>> {
        self.get(&table::work_pool(id)).await
    }

    /// Returns the pools that `filter` selects, within `window`, by name.
    pub async fn work_pools(&self, filter: Option<&WorkPoolFilter>, window: Window) -> Result<Vec<WorkPool>> {
        let source = self.work_pool_source(filter).await?;
        let by_name = |one: &KeptWorkPool, other: &KeptWorkPool| one.pool.name.cmp(&other.pool.name);
        let found = self.select(source, &mut WorkPoolMatcher(filter), by_name, window).await?;
        Ok(found.into_iter().map(|kept| kept.pool).collect())
    }

    /// Counts the pools that `filter` selects.
    pub async fn count_work_pools(&self, filter: Option<&WorkPoolFilter>) -> Result<u64> {
        let source = self.work_pool_source(filter).await?;
        self.select_count::<KeptWorkPool>(source, &mut WorkPoolMatcher(filter)).await
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
    pub async fn add_work_pool(&self, pool: &KeptWorkPool, default_queue: &KeptWorkQueue) -> Result<()> {
        let claim = self.claim(table::unique_work_pool_name(&pool.pool.name), pool.pool.id)?;
        let writes = vec![self.insert(pool)?, claim, self.insert(default_queue)?];
        match self.commit(writes).await {
            Ok(()) => Ok(()),
            Err(CommitError::Refused(_)) if self.get_item(&pool.key()).await?.is_some() => Ok(()),
            Err(CommitError::Refused(_)) => Err(Error::Conflict("A work pool with this name already exists.".into())),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces a pool that was read at `version`; its name and its queues stay.
    pub async fn update_work_pool(&self, pool: &KeptWorkPool, version: u64) -> Result<(), CommitError> {
        self.commit(vec![self.replace(pool, version)?]).await
    }

    /// Deletes a pool that was read at its version, with its queues.
    pub async fn delete_work_pool(&self, found: &Versioned<KeptWorkPool>) -> Result<(), CommitError> {
        let KeptWorkPool { pool, queues, .. } = &found.record;
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
        writes.push(self.notice(table::deleted_work_pool(pool.id), events)?);
        self.commit(writes).await
    }

    /// Returns the write that leaves `events` of something deleted to the stream's consumer.
    pub(super) fn notice(&self, key: Key, events: Vec<Event>) -> Result<Write> {
        let mut notice = Item::of(&LastEvents { key, events }, 1, self.shards())?;
        notice.expires = Some(Timestamp::now().plus(NOTICE_KEPT).as_seconds());
        Ok(Write::Put(notice))
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

impl Record for LastEvents {
    const HEAD: &'static [&'static str] = &["events"];

    fn key(&self) -> Key {
        self.key.clone()
    }

    fn places(&self, _shards: Shards) -> Vec<Place> {
        Vec::new()
    }
}

/// Decides which pools match.
struct WorkPoolMatcher<'f>(Option<&'f WorkPoolFilter>);

impl Matcher<KeptWorkPool> for WorkPoolMatcher<'_> {
    fn matches_all(&self) -> bool {
        self.0.is_none()
    }

    async fn keep(&mut self, _store: &Store, mut pools: Vec<KeptWorkPool>) -> Result<Vec<KeptWorkPool>> {
        pools.retain(|kept| self.0.is_none_or(|filter| filter.matches(&kept.pool)));
        Ok(pools)
    }
}
