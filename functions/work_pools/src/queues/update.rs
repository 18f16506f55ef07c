//! `PATCH /work_pools/{work_pool_name}/queues/{name}`: changes a queue of a work pool.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    http::{Path, Route, Sent},
    store::work_queues::Ranks,
    work_queue_update::WorkQueueUpdate,
};

use crate::path::QueuePath;

/// The contract's `update_work_queue` of a pool.
pub static ROUTE: Route =
    Route::patch("update_work_queue", "/work_pools/{work_pool_name}/queues/{name}", || patch(update));

async fn update(
    State(app): State<App>,
    Path(path): Path<QueuePath>,
    Sent(sent): Sent<WorkQueueUpdate>,
) -> Result<StatusCode> {
    let change = |queue: &mut _| sent.apply(queue, app.now());
    path.worded(app.store.update_work_queue(path.queue_name(), Ranks::Unique, change, &[]).await)?;
    Ok(StatusCode::NO_CONTENT)
}
