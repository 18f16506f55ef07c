//! `GET /work_queues/{id}`: reads a work queue.

use axum::{Json, extract::State, routing::get};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    model::{WorkQueueId, work_queue::WorkQueueAnswer},
    store::TableAccess,
};

use crate::responses::{self, no_queue};

/// The contract's `read_work_queue` by id.
pub static ROUTE: Route =
    Route::get("read_work_queue_by_id", "/work_queues/{id}", || get(read)).accessing(TableAccess::FILTERS);

async fn read(State(app): State<App>, Path(path): Path<Id<WorkQueueId>>) -> Result<Json<WorkQueueAnswer>> {
    let found = app.store.work_queue(path.id).await?.ok_or_else(no_queue)?;
    Ok(Json(responses::one(&app, found.record.queue).await?))
}
