//! `PATCH /work_queues/{id}`: changes a work queue.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    http::{Path, Route, Sent, extract::Id},
    model::WorkQueueId,
    store::{commit::retry_on_conflict, work_queues::Ranks},
    work_queue_update::WorkQueueUpdate,
};

/// The contract's `update_work_queue` by id.
pub static ROUTE: Route = Route::patch("update_work_queue_by_id", "/work_queues/{id}", || patch(update));

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<WorkQueueId>>,
    Sent(sent): Sent<WorkQueueUpdate>,
) -> Result<StatusCode> {
    let nothing = || Error::not_found_in_words(format!("Work Queue {} not found", path.id));
    retry_on_conflict(|| async {
        let before = app.store.work_queue(path.id).await?.ok_or_else(nothing)?;
        let of = app.store.pool_of_queue(&before.record.queue).await?.ok_or_else(nothing)?;
        let after = sent.apply(&before.record.queue, &of.pool.record.pool, app.now())?;
        if of.queue(&after.queue.name).is_some_and(|other| other.record.queue.id != path.id) {
            return Err(Error::integrity_conflict().into());
        }
        app.store.update_work_queue(&of, &before, &after, Ranks::Shared).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
