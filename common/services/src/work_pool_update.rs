//! Changes of a work pool, as Prefect's `update_work_pool` makes them.

use domain::{
    model::{
        Object, Timestamp, WorkPool,
        work_pool::{FOR_AGENTS, StoredWorkPool, WorkPoolStatus, WorkPoolStorageConfiguration},
    },
    patch::Patch,
};
use error::Result;
use serde::Deserialize;

/// What is to be changed of a work pool (contract schema `WorkPoolUpdate`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WorkPoolUpdate {
    description: Patch<String>,
    is_paused: Patch<bool>,
    base_job_template: Patch<Object>,
    concurrency_limit: Patch<i64>,
    storage_configuration: Patch<WorkPoolStorageConfiguration>,
}

impl WorkPoolUpdate {
    /// Makes the change that pauses a pool, or lets it go on.
    pub fn pausing(is_paused: bool) -> Self {
        Self { is_paused: Patch::Value(is_paused), ..Self::default() }
    }

    /// Says whether nothing else is changed than whether the pool is paused, and its limit.
    pub fn only_pauses_or_limits(&self) -> bool {
        !(self.description.is_sent() || self.base_job_template.is_sent() || self.storage_configuration.is_sent())
    }

    /// Says whether `pool` is to be as ready as its workers are.
    pub fn resumes(&self, pool: &WorkPool) -> bool {
        self.is_paused.value() == Some(&false) && pool.r#type != FOR_AGENTS
    }

    /// Changes `kept` at `now`, of which is known, if it resumes, whether a worker serves it.
    ///
    /// # Errors
    /// [`error::Error::Conflict`] for a null where Prefect's database takes none.
    pub fn apply(&self, kept: &mut StoredWorkPool, is_served: bool, now: Timestamp) -> Result<()> {
        if let Some(is_paused) = self.is_paused.value().filter(|_| kept.pool.r#type != FOR_AGENTS) {
            let status = match (is_paused, is_served) {
                (true, _) => WorkPoolStatus::Paused,
                (false, true) => WorkPoolStatus::Ready,
                (false, false) => WorkPoolStatus::NotReady,
            };
            kept.enter(status, now);
        }
        let pool = &mut kept.pool;
        pool.updated = now;
        self.description.set_or_clear(&mut pool.description);
        self.is_paused.set(&mut pool.is_paused)?;
        self.base_job_template.set(&mut pool.base_job_template)?;
        self.concurrency_limit.set_or_clear(&mut pool.concurrency_limit);
        self.storage_configuration.set(&mut pool.storage_configuration)
    }
}
