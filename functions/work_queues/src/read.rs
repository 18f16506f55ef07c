//! `GET /work_queues/{id}`: reads a work queue.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Result,
    http::{Path, Route, extract::Id},
    model::{WorkQueueId, work_queue::WorkQueueAnswer},
    store::Needs,
};

use crate::answers::{self, no_queue};

/// The contract's `read_work_queue` by id.
pub static ROUTE: Route =
    Route::get("read_work_queue_by_id", "/work_queues/{id}", || get(read)).needing(Needs::FILTERS);

async fn read(State(api): State<Api>, Path(path): Path<Id<WorkQueueId>>) -> Result<Json<WorkQueueAnswer>> {
    let found = api.store.work_queue(path.id).await?.ok_or_else(no_queue)?;
    Ok(Json(answers::one(&api, found.record.queue).await?))
}
