//! `GET /work_pools/{work_pool_name}/queues/{name}`: reads a queue of a work pool.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route},
    model::work_queue::WorkQueueAnswer,
    store::occupancy,
};

use crate::{path::QueuePath, response};

/// The contract's `read_work_queue` of a pool.
pub static ROUTE: Route = Route::get("read_work_queue", "/work_pools/{work_pool_name}/queues/{name}", || get(read))
    .accessing(occupancy::SLOTS);

async fn read(State(app): State<App>, Path(path): Path<QueuePath>) -> Result<Json<WorkQueueAnswer>> {
    let found = path.pool_with_queues(&app).await?.ok_or_else(|| path.no_queue())?;
    let queue = path.queue(&found)?.record.queue.clone();
    let answer = response::queues(&app, &found.pool.record.pool, vec![queue]).await?.pop();
    answer.map(Json).ok_or_else(|| Error::Internal("a queue has one answer".into()))
}
