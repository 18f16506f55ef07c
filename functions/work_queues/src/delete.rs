//! `DELETE /work_queues/{id}`: deletes a work queue.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, InWords, Result,
    http::{Path, Route, extract::Id},
    jobs::removals,
    model::WorkQueueId,
    store::{table, work_queues::QueueName},
};

use crate::responses::NOT_FOUND;

/// The contract's `delete_work_queue` by id.
pub static ROUTE: Route =
    Route::delete("delete_work_queue_by_id", "/work_queues/{id}", || on_delete(delete)).accessing(removals::OF_QUEUE);

async fn delete(State(app): State<App>, Path(path): Path<Id<WorkQueueId>>) -> Result<StatusCode> {
    app.store.delete_work_queue(QueueName::Id(path.id), app.now()).await.in_words(NOT_FOUND)?;
    removals::within_request(&app, [table::work_queue(path.id)]).await;
    Ok(StatusCode::NO_CONTENT)
}
