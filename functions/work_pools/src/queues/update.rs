//! `PATCH /work_pools/{work_pool_name}/queues/{name}`: changes a queue of a work pool.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    http::{Path, Route, Sent},
    store::{commit::retry_on_conflict, work_queues::Ranks},
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
    retry_on_conflict(|| async {
        let of = path.pool_with_queues(&app).await?.ok_or_else(|| path.no_pool())?;
        let before = path.queue(&of)?;
        let after = sent.apply(&before.record.queue, &of.pool.record.pool, app.now())?;
        if of.queue(&after.queue.name).is_some_and(|other| other.record.queue.id != after.queue.id) {
            return Err(Error::integrity_conflict().into());
        }
        app.store.update_work_queue(&of, before, &after, Ranks::Unique).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
