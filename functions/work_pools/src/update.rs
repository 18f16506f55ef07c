//! `PATCH /work_pools/{name}`: changes a work pool.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    domain::events::work_pools::{self, Updates},
    http::{Path, Route, Sent},
    model::{
        Object, Timestamp,
        work_pool::{FOR_AGENTS, WorkPoolStatus, WorkPoolStorageConfiguration},
    },
    patch::{sent, set, set_or_clear},
    store::{commit::retry_on_conflict, work_pools::StoredWorkPool},
};
use serde::Deserialize;

use crate::path::PoolPath;

/// The contract's `update_work_pool`.
pub static ROUTE: Route = Route::patch("update_work_pool", "/work_pools/{name}", || patch(update));

#[derive(Debug, Deserialize)]
struct WorkPoolUpdate {
    #[serde(default, deserialize_with = "sent")]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    is_paused: Option<Option<bool>>,
    #[serde(default, deserialize_with = "sent")]
    base_job_template: Option<Option<Object>>,
    #[serde(default, deserialize_with = "sent")]
    concurrency_limit: Option<Option<i64>>,
    #[serde(default, deserialize_with = "sent")]
    storage_configuration: Option<Option<WorkPoolStorageConfiguration>>,
}

impl WorkPoolUpdate {
    fn only_pauses_or_limits(&self) -> bool {
        self.description.is_none() && self.base_job_template.is_none() && self.storage_configuration.is_none()
    }
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
    retry_on_conflict(|| async {
        let found = path.pool(&app).await?;
        let pool = &found.record.pool;
        let resumes = sent.is_paused.flatten() == Some(false) && pool.r#type != FOR_AGENTS;
        let is_served = resumes && app.store.is_served(pool.id, None).await?;
        app.store.update_work_pool(&changed(&found.record, &sent, is_served, app.now())?, found.version).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn changed(before: &StoredWorkPool, sent: &WorkPoolUpdate, is_served: bool, now: Timestamp) -> Result<StoredWorkPool> {
    let mut after = before.clone().without_events();
    if let Some(is_paused) = sent.is_paused.flatten().filter(|_| before.pool.r#type != FOR_AGENTS) {
        let status = match (is_paused, is_served) {
            (true, _) => WorkPoolStatus::Paused,
            (false, true) => WorkPoolStatus::Ready,
            (false, false) => WorkPoolStatus::NotReady,
        };
        after = before.entering(status, now)?;
    }
    let (old, pool) = (&before.pool, &mut after.pool);
    pool.updated = now;
    set_or_clear(&mut pool.description, sent.description.as_ref());
    set(&mut pool.is_paused, sent.is_paused.as_ref())?;
    set(&mut pool.base_job_template, sent.base_job_template.as_ref())?;
    set_or_clear(&mut pool.concurrency_limit, sent.concurrency_limit.as_ref());
    set(&mut pool.storage_configuration, sent.storage_configuration.as_ref())?;

    let mut updates = Updates::default();
    updates.note("description", &old.description, &pool.description)?;
    updates.note("base_job_template", &old.base_job_template, &pool.base_job_template)?;
    updates.note("concurrency_limit", &old.concurrency_limit, &pool.concurrency_limit)?;
    updates.note("storage_configuration", &old.storage_configuration, &pool.storage_configuration)?;
    if !updates.is_empty() {
        after.events.push(work_pools::pool_updated(pool, &updates)?);
    }
    Ok(after)
}
