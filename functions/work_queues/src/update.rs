//! `PATCH /work_queues/{id}`: changes a work queue.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, InWords, Result,
    http::{Path, Route, Sent, extract::Id},
    model::WorkQueueId,
    store::work_queues::{QueueName, Ranks},
    work_queue_update::WorkQueueUpdate,
};

/// The contract's `update_work_queue` by id.
pub static ROUTE: Route = Route::patch("update_work_queue_by_id", "/work_queues/{id}", || patch(update));

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<WorkQueueId>>,
    Sent(sent): Sent<WorkQueueUpdate>,
) -> Result<StatusCode> {
    let change = |queue: &mut _| sent.apply(queue, app.now());
    let changed = app.store.update_work_queue(QueueName::Id(path.id), Ranks::Shared, change, &[]).await;
    changed.in_words(&format!("Work Queue {} not found", path.id))?;
    Ok(StatusCode::NO_CONTENT)
}
