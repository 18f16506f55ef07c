//! Work pools in the table.
//!
//! A pool's item lists its queues, and is written whenever a queue is added, renamed, moved or deleted: so its version
//! guards the names and ranks of all of them.

use super::{
    CommitError, Entity, Item, Key, Record, Store, TableAccess, Versioned, Write,
    commit::retry_on_conflict,
    entity::Each,
    query::Range,
    select::{Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
    work_queues::PoolWithQueues,
};
pub use domain::model::work_pool::StoredWorkPool;
use domain::{
    events::{Lifecycle, lifecycle},
    filter::WorkPoolFilter,
    model::{
        Object, Timestamp, WorkPool, WorkPoolId,
        work_pool::{FOR_AGENTS, WorkPoolStatus, WorkPoolStorageConfiguration},
        work_queue::StoredWorkQueue,
    },
};
use error::{Error, Result};

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

impl Entity for StoredWorkPool {
    type Id = WorkPoolId;

    fn key_of(id: WorkPoolId) -> Key {
        table::work_pool(id)
    }

    fn claim(&self) -> Option<Key> {
        Some(table::unique_work_pool_name(&self.pool.name))
    }
}

/// What [`Store::work_pools`] and [`Store::count_work_pools`] touch.
pub const FILTER: TableAccess = TableAccess::READS.via(&[Index::ByName]);

/// How many queues a pool has at most, so that one transaction can change or delete all of them.
pub const MOST_QUEUES: usize = 90;

impl Store {
    /// Reads the pool called `name`.
    pub async fn work_pool(&self, name: &str) -> Result<Option<Versioned<StoredWorkPool>>> {
        Ok(self.work_pool_beside(name, |_| Vec::new()).await?.map(|(pool, _)| pool))
    }

    /// Reads the pool called `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn read_work_pool(&self, name: &str) -> Result<Versioned<StoredWorkPool>> {
        self.work_pool(name).await?.ok_or_else(|| Error::missing(StoredWorkPool::RESOURCE))
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
        self.select(source, &mut matcher(filter), by_name, window).await
    }

    /// Counts the pools that `filter` selects.
    pub async fn count_work_pools(&self, filter: Option<&WorkPoolFilter>) -> Result<u64> {
        let source = self.work_pool_source(filter).await?;
        self.select_count(source, &mut matcher(filter)).await
    }

    async fn work_pool_source(&self, filter: Option<&WorkPoolFilter>) -> Result<Source> {
        if let Some(ids) = filter.and_then(WorkPoolFilter::ids) {
            return Ok(Source::keys(ids.iter().copied().map(table::work_pool)));
        }
        if let Some(names) = filter.and_then(WorkPoolFilter::names) {
            let claims: Vec<Key> = names.iter().map(|name| table::unique_work_pool_name(name)).collect();
            return Ok(Source::Keys(self.keys_by_claims::<StoredWorkPool>(&claims).await?));
        }
        Ok(Source::Ordered(Range::all(self, Index::ByName, Collection::WorkPools)))
    }

    /// Adds `pool` with its default queue.
    ///
    /// # Errors
    /// [`Error::Conflict`] if there is one of its name.
    pub async fn add_work_pool(&self, pool: &StoredWorkPool, default_queue: &StoredWorkQueue) -> Result<()> {
        self.add_with(pool, self.additions(default_queue)?).await
    }

    /// Reads the pool that queues belong to of which no pool is named, with its queues; makes it if there is none.
    ///
    /// Prefect keeps it from the time when agents polled queues without pools.
    pub async fn default_agent_pool(&self, now: Timestamp) -> Result<(PoolWithQueues, bool)> {
        retry_on_conflict(|| async {
            if let Some(found) = self.work_pool_with_queues(DEFAULT_AGENT_POOL).await? {
                return Ok((found, false));
            }
            let (pool, queue) = StoredWorkPool::with_default_queue(default_agent_pool(now));
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

    /// Changes the pool called `name`.
    ///
    /// `change` is called again if another request changed the pool meanwhile. Where `asks` says so of the pool, it is told
    /// whether a worker serves it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, and those of `change`.
    pub async fn update_work_pool(
        &self,
        name: &str,
        asks: impl Fn(&WorkPool) -> bool + Sync,
        change: impl Fn(&mut StoredWorkPool, bool) -> Result<()> + Sync,
        beside: &[Write],
    ) -> Result<()> {
        retry_on_conflict(|| async {
            let before = self.read_work_pool(name).await?;
            let pool = &before.record.pool;
            let is_served = asks(pool) && self.is_served(pool.id, None).await?;
            let mut after = before.record.clone();
            change(&mut after, is_served)?;
            self.replace_one(&before, &after, beside.to_vec()).await
        })
        .await
    }

    /// Deletes the pool called `name`, with its queues; returns it as it was.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn delete_work_pool(&self, name: &str, now: Timestamp) -> Result<StoredWorkPool> {
        retry_on_conflict(|| async {
            let found = self.read_work_pool(name).await?;
            let key = found.record.key();
            let mut writes = vec![Write::DeleteVersion(key.clone(), found.version)];
            writes.extend(found.record.claim().map(Write::Delete));
            writes.extend(found.record.queues.iter().map(|id| Write::Delete(table::work_queue(*id))));
            let mut events = Vec::new();
            for queue in self.work_queues_of(&found.record).await? {
                events.push(lifecycle::deleted(&queue.record, queue.version, now)?);
            }
            events.push(lifecycle::deleted(&found.record, found.version, now)?);
            // One transaction takes no tombstone for each of the queues.
            writes.push(self.bury(&key, lifecycle::a_moment_apart(events))?);
            self.commit(writes).await?;
            Ok(found.record)
        })
        .await
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

fn matcher(filter: Option<&WorkPoolFilter>) -> Each<impl Fn(&StoredWorkPool) -> bool> {
    Each(filter.map(|filter| |kept: &StoredWorkPool| filter.matches(&kept.pool)))
}
