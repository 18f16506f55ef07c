//! `GET /work_queues/{id}`: reads a work queue.

use axum::{extract::State, routing::get};
use common::{
    App, InWords, Result,
    http::{Json, Path, Route, extract::Id},
    model::{WorkQueueId, work_queue::WorkQueueAnswer},
    store::work_queues::StoredWorkQueue,
};

use crate::responses::{self, NOT_FOUND};

/// The contract's `read_work_queue` by id.
pub static ROUTE: Route =
    Route::get("read_work_queue_by_id", "/work_queues/{id}", || get(read)).accessing(responses::ACCESS);

async fn read(State(app): State<App>, Path(path): Path<Id<WorkQueueId>>) -> Result<Json<WorkQueueAnswer>> {
    let found = app.store.read_one::<StoredWorkQueue>(path.id).await.in_words(NOT_FOUND)?;
    Ok(Json(responses::one(&app, found.record).await?))
}
