//! Workers in the table, beside their pool.

use serde::{Deserialize, Serialize};

use super::{
    CommitError, Item, Key, Record, Store, Versioned, Write,
    commit::retry_on_conflict,
    query::Range,
    select::Window,
    table::{self, Collection, Index, IndexKey, Shards},
    work_pools::StoredWorkPool,
    work_queues::StoredWorkQueue,
};
use domain::{
    events::Lifecycle,
    filter::WorkerFilter,
    model::{Object, Timestamp, WorkPoolId, Worker, WorkerId, work_pool::WorkPoolStatus, worker::WorkerStatus},
};
use error::{Error, Result};

/// A worker as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptWorker {
    /// The worker.
    pub worker: Worker,
    /// When the server looks whether there was a heartbeat lately.
    #[serde(default)]
    pub check: Option<Timestamp>,
}

/// A worker's sign of life.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat<'h> {
    /// The worker's name.
    pub worker: &'h str,
    /// The time between two heartbeats in seconds, if the worker tells it.
    pub interval: Option<i64>,
    /// What the pool's base job template becomes if it has none.
    pub template: Option<&'h Object>,
}

impl<'h> Heartbeat<'h> {
    /// Makes the heartbeat of a worker that brings no template.
    pub fn new(worker: &'h str, interval: Option<i64>) -> Self {
        Self { worker, interval, template: None }
    }
}

crate::json_record!(KeptWorker);

impl Record for KeptWorker {
    const HEAD: &'static [&'static str] = &["worker"];

    fn key(&self) -> Key {
        table::worker(self.worker.work_pool_id, &self.worker.name)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let id = self.worker.id;
        let sk = self.check.map(|check| table::sort_with_id(&check.sortable(), id));
        let pk = shards.of(Collection::Timers, id.0);
        sk.map(|sk| IndexKey { index: Index::Related, pk, sk }).into_iter().collect()
    }
}

impl Store {
    /// Takes a heartbeat of a worker of `pool`; returns the pool as it is then. One that wasn't ready is ready.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such pool.
    pub async fn record_heartbeat(
        &self,
        pool: &str,
        heartbeat: &Heartbeat<'_>,
        now: Timestamp,
    ) -> Result<Versioned<StoredWorkPool>> {
        retry_on_conflict(|| async {
            let beside = |id| vec![table::worker(id, heartbeat.worker)];
            let (found, items) = self.work_pool_beside(pool, beside).await?.ok_or_else(no_pool)?;
            let before = items.first().map(Item::versioned::<KeptWorker>).transpose()?;
            let worker = self.after_heartbeat(
                before.as_ref().map(|before| before.record.clone()),
                found.record.pool.id,
                heartbeat,
                now,
            );
            let write = match before {
                Some(before) => self.replace(&worker, before.version)?,
                None => self.insert(&worker)?,
            };
            let mut pool = found.record.clone();
            let lacks_template = pool.pool.base_job_template.is_empty();
            let template = heartbeat.template.filter(|template| lacks_template && !template.is_empty());
            if let Some(template) = template {
                pool.pool.base_job_template.clone_from(template);
                pool.pool.updated = now;
            }
            let was_ready = pool.pool.status.unwrap_or_default() != WorkPoolStatus::NotReady;
            if was_ready && template.is_none() {
                self.commit(vec![write]).await?;
                return Ok(found);
            }
            if !was_ready {
                pool.enter(WorkPoolStatus::Ready, now);
            }
            self.replace_one(&found, &pool, vec![write]).await?;
            Ok(Versioned { record: pool, version: found.version + 1 })
        })
        .await
    }

    /// Adds `pool` with its default queue, for a worker whose first `heartbeat` this is; the pool is ready from the start.
    ///
    /// # Errors
    /// [`Error::Conflict`] if there is one of its name.
    pub async fn add_work_pool_for(
        &self,
        mut pool: StoredWorkPool,
        default_queue: &StoredWorkQueue,
        heartbeat: &Heartbeat<'_>,
        now: Timestamp,
    ) -> Result<Versioned<StoredWorkPool>> {
        pool.enter(WorkPoolStatus::Ready, now);
        let mut beside = self.additions(default_queue)?;
        beside.push(self.insert(&self.after_heartbeat(None, pool.pool.id, heartbeat, now))?);
        self.add_with(&pool, beside).await?;
        Ok(Versioned { record: pool, version: 1 })
    }

    /// Returns a worker as it is after a heartbeat.
    fn after_heartbeat(
        &self,
        before: Option<KeptWorker>,
        pool: WorkPoolId,
        heartbeat: &Heartbeat<'_>,
        now: Timestamp,
    ) -> KeptWorker {
        let mut worker = before.unwrap_or_else(|| new_worker(pool, heartbeat.worker, now));
        worker.worker.last_heartbeat_time = now;
        worker.worker.status = WorkerStatus::Online;
        worker.worker.heartbeat_interval_seconds = heartbeat.interval.or(worker.worker.heartbeat_interval_seconds);
        worker.check = worker.check.or_else(|| self.liveness.worker_deadline(&worker.worker));
        worker
    }

    /// Returns the workers of `pool` that `filter` selects, within `window`, the one heard of last first.
    pub async fn workers(
        &self,
        pool: WorkPoolId,
        filter: Option<&WorkerFilter>,
        window: Window,
    ) -> Result<Vec<Worker>> {
        let items = self.read_all(workers_of(pool)).await?;
        let found = items.iter().filter_map(|item| Some(item.readable::<KeptWorker>()?.worker));
        let mut found: Vec<Worker> =
            found.filter(|worker| filter.is_none_or(|filter| filter.matches(worker))).collect();
        found.sort_by_key(|worker| std::cmp::Reverse(worker.last_heartbeat_time));
        Ok(found.into_iter().skip(window.offset).take(window.limit).collect())
    }

    /// Says whether a worker of `pool` other than `except` is online.
    pub async fn is_served(&self, pool: WorkPoolId, except: Option<WorkerId>) -> Result<bool> {
        let mut reader = self.read(workers_of(pool), WORKERS_AT_ONCE);
        while let Some(items) = reader.more().await? {
            for worker in items.iter().filter_map(|item| Some(item.readable::<KeptWorker>()?.worker)) {
                if worker.status == WorkerStatus::Online && Some(worker.id) != except {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Deletes the worker `name` of `pool`.
    ///
    /// If it was online, the server looks whether another one still serves the pool.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such pool or worker.
    pub async fn delete_worker(&self, pool: &str, name: &str, now: Timestamp) -> Result<()> {
        retry_on_conflict(|| async {
            let beside = |id| vec![table::worker(id, name)];
            let (found, items) = self.work_pool_beside(pool, beside).await?.ok_or_else(no_pool)?;
            let Some(item) = items.first() else { return Err(Error::missing("worker").into()) };
            let worker = item.versioned::<KeptWorker>()?;
            let mut writes = vec![Write::DeleteVersion(worker.record.key(), worker.version)];
            let was_serving = worker.record.worker.status == WorkerStatus::Online;
            if was_serving && self.liveness.enabled && found.record.pool.status == Some(WorkPoolStatus::Ready) {
                let checked = StoredWorkPool { check: Some(now), ..found.record.clone() };
                writes.push(self.replace(&checked, found.version)?);
            }
            self.commit(writes).await
        })
        .await
    }

    /// Marks the worker under `key` as offline if it was silent for too long, and its pool as not ready if no other serves it.
    pub async fn check_worker(&self, key: &Key, now: Timestamp) -> Result<()> {
        retry_on_conflict(|| async {
            let Some(found) = self.get::<KeptWorker>(key).await? else { return Ok(()) };
            let mut worker = found.record.clone();
            if worker.check.is_none_or(|check| check > now) {
                return Ok(());
            }
            worker.check = self.liveness.worker_deadline(&worker.worker);
            if worker.check.is_some_and(|deadline| deadline <= now) {
                let pool = worker.worker.work_pool_id;
                self.check_pool(&table::work_pool(pool), Some(worker.worker.id), now).await?;
                worker.worker.status = WorkerStatus::Offline;
                worker.check = None;
            }
            self.commit(vec![self.replace(&worker, found.version)?]).await
        })
        .await
    }

    /// Marks the pool under `key` as not ready if it is, and no worker other than `gone` is online.
    pub async fn check_pool(&self, key: &Key, gone: Option<WorkerId>, now: Timestamp) -> Result<()> {
        retry_on_conflict(|| async {
            let Some(found) = self.get::<StoredWorkPool>(key).await? else { return Ok(()) };
            let pool = &found.record;
            let is_stale =
                pool.pool.status == Some(WorkPoolStatus::Ready) && !self.is_served(pool.pool.id, gone).await?;
            if !is_stale && pool.check.is_none() {
                return Ok(());
            }
            let mut after = StoredWorkPool { check: None, ..pool.clone() };
            if is_stale {
                after.enter(WorkPoolStatus::NotReady, now);
            }
            self.replace_one(&found, &after, Vec::new()).await
        })
        .await
    }
}

/// How many workers are read at once to find one that is online.
const WORKERS_AT_ONCE: usize = 100;

fn workers_of(pool: WorkPoolId) -> Range {
    Range::partition(table::work_pool(pool).pk).starting_with(table::WORKERS)
}

fn no_pool() -> CommitError {
    Error::missing(StoredWorkPool::RESOURCE).into()
}

fn new_worker(pool: WorkPoolId, name: &str, now: Timestamp) -> KeptWorker {
    let worker = Worker {
        id: WorkerId::new(),
        created: now,
        updated: now,
        name: name.to_owned(),
        work_pool_id: pool,
        last_heartbeat_time: now,
        heartbeat_interval_seconds: None,
        status: WorkerStatus::Online,
    };
    KeptWorker { worker, check: None }
}
