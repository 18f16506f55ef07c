//! `GET /work_queues/name/{name}`: reads a work queue by its name.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Result,
    http::{Path, Route},
    model::work_queue::WorkQueueAnswer,
    store::{Needs, work_pools::DEFAULT_AGENT_POOL},
};
use serde::Deserialize;

use crate::answers::{self, no_queue};

/// The contract's `read_work_queue_by_name`.
pub static ROUTE: Route =
    Route::get("read_work_queue_by_name", "/work_queues/name/{name}", || get(read_by_name)).needing(Needs::FILTERS);

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

async fn read_by_name(State(api): State<Api>, Path(path): Path<Name>) -> Result<Json<WorkQueueAnswer>> {
    // Only if there is no pool for queues without one, a queue of any other is meant.
    let found = match api.store.work_pool_with_queues(DEFAULT_AGENT_POOL).await? {
        Some(pool) => pool.queue(&path.name).map(|found| found.record.queue.clone()),
        None => api.store.work_queue_called(&path.name).await?,
    };
    Ok(Json(answers::one(&api, found.ok_or_else(no_queue)?).await?))
}
