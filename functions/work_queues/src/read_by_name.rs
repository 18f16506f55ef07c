//! `GET /work_queues/name/{name}`: reads a work queue by its name.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route},
    model::work_queue::WorkQueueAnswer,
    store::{work_pools::DEFAULT_AGENT_POOL, work_queues},
};
use serde::Deserialize;

use crate::responses::{self, NOT_FOUND};

/// The contract's `read_work_queue_by_name`.
pub static ROUTE: Route = Route::get("read_work_queue_by_name", "/work_queues/name/{name}", || get(read_by_name))
    .accessing(work_queues::FILTER.and(responses::ACCESS));

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

async fn read_by_name(State(app): State<App>, Path(path): Path<Name>) -> Result<Json<WorkQueueAnswer>> {
    // Only if there is no pool for queues without one, a queue of any other is meant.
    let found = match app.store.work_pool_with_queues(DEFAULT_AGENT_POOL).await? {
        Some(pool) => pool.queue(&path.name).map(|found| found.record.clone()),
        None => app.store.work_queue_called(&path.name).await?,
    };
    Ok(Json(responses::one(&app, found.ok_or_else(|| Error::not_found_in_words(NOT_FOUND))?).await?))
}
