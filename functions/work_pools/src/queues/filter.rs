//! `POST /work_pools/{work_pool_name}/queues/filter`: reads the queues of a work pool that match, by priority.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::WorkQueueFilter,
    http::{Body, Json, Path, Route},
    model::work_queue::WorkQueueAnswer,
    store::{occupancy, select::Window},
};
use serde::Deserialize;

use crate::{path::PoolPath, response};

/// The contract's `read_work_queues` of a pool.
pub static ROUTE: Route =
    Route::post("read_work_queues", "/work_pools/{work_pool_name}/queues/filter", || post(filter))
        .accessing(occupancy::SLOTS);

#[derive(Debug, Deserialize)]
struct WorkQueueQuery {
    work_queues: Option<WorkQueueFilter>,
    #[serde(flatten)]
    window: Window,
}

async fn filter(
    State(app): State<App>,
    Path(path): Path<PoolPath>,
    Body(query): Body<WorkQueueQuery>,
) -> Result<Json<Vec<WorkQueueAnswer>>> {
    let found = path.pool_with_queues(&app).await?;
    let pool = &found.pool.record.pool;
    let queues = found.queues.into_iter().map(|found| found.record.queue);
    let matching = queues.filter(|queue| query.work_queues.as_ref().is_none_or(|filter| filter.matches(queue)));
    let page = matching.skip(query.window.offset).take(query.window.limit);
    Ok(Json(response::queues(&app, pool, page.collect()).await?))
}
