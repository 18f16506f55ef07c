//! `GET /work_pools/{work_pool_name}/queues/{name}`: reads a queue of a work pool.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Result,
    http::{Path, Route},
};

use crate::{path::QueuePath, response::WorkQueueResponse};

/// The contract's `read_work_queue` of a pool.
pub static ROUTE: Route = Route::get("read_work_queue", "/work_pools/{work_pool_name}/queues/{name}", || get(read));

async fn read(State(api): State<Api>, Path(path): Path<QueuePath>) -> Result<Json<WorkQueueResponse>> {
    let found = path.pool_with_queues(&api).await?.ok_or_else(|| path.no_queue())?;
    Ok(Json(WorkQueueResponse::new(path.queue(&found)?.record.queue.clone(), &found.pool.record.pool)))
}
