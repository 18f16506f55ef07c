//! `POST /work_queues/`: adds a queue to the pool of queues of which no pool is named.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Json, Route},
    model::work_queue::{WorkQueueAnswer, WorkQueueCreate},
    work_queue_placement::create_queue,
};

/// The contract's `create_work_queue` without a pool.
pub static ROUTE: Route = Route::post("create_work_queue_without_pool", "/work_queues/", || post(create));

async fn create(
    State(app): State<App>,
    Body(body): Body<WorkQueueCreate>,
) -> Result<(StatusCode, Json<WorkQueueAnswer>)> {
    let answer = create_queue(&app, None, &body).await.map_err(|error| match error {
        Error::Conflict(_) => Error::Conflict("A work queue with this name already exists.".into()),
        other => other,
    })?;
    Ok((StatusCode::CREATED, Json(answer)))
}
