//! `PATCH /work_pools/{name}`: changes a work pool.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    http::{Path, Route, Sent},
    model::{
        Object, Timestamp, WorkPool,
        work_pool::{FOR_AGENTS, StoredWorkPool, WorkPoolStatus, WorkPoolStorageConfiguration},
    },
    patch::Patch,
};
use serde::Deserialize;

use crate::path::PoolPath;

/// The contract's `update_work_pool`.
pub static ROUTE: Route = Route::patch("update_work_pool", "/work_pools/{name}", || patch(update));

/// What the client sent (contract schema `WorkPoolUpdate`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WorkPoolUpdate {
    description: Patch<String>,
    is_paused: Patch<bool>,
    base_job_template: Patch<Object>,
    concurrency_limit: Patch<i64>,
    storage_configuration: Patch<WorkPoolStorageConfiguration>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<PoolPath>,
    Sent(sent): Sent<WorkPoolUpdate>,
) -> Result<StatusCode> {
    if path.is_reserved() && !sent.only_pauses_or_limits() {
        return Err(Error::Forbidden(
            "Work pools starting with 'Prefect' are reserved for internal use and can only be updated to set \
             concurrency limits or pause."
                .into(),
        ));
    }
    let change = |pool: &mut _, is_served| sent.apply(pool, is_served, app.now());
    path.worded(app.store.update_work_pool(path.name(), |pool| sent.resumes(pool), change).await)?;
    Ok(StatusCode::NO_CONTENT)
}

impl WorkPoolUpdate {
    fn only_pauses_or_limits(&self) -> bool {
        !(self.description.is_sent() || self.base_job_template.is_sent() || self.storage_configuration.is_sent())
    }

    /// Says whether `pool` is to be as ready as its workers are.
    fn resumes(&self, pool: &WorkPool) -> bool {
        self.is_paused.value() == Some(&false) && pool.r#type != FOR_AGENTS
    }

    /// Changes `kept` at `now`, of which is known, if it resumes, whether a worker serves it.
    fn apply(&self, kept: &mut StoredWorkPool, is_served: bool, now: Timestamp) -> Result<()> {
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
