//! `POST /work_pools/{work_pool_name}/queues`: adds a queue to a work pool.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Json, Path, Route},
    model::work_queue::{WorkQueueAnswer, WorkQueueCreate},
    work_queue_placement::create_queue,
};

use crate::path::PoolPath;

/// The contract's `create_work_queue` of a pool.
pub static ROUTE: Route = Route::post("create_work_queue", "/work_pools/{work_pool_name}/queues", || post(create));

async fn create(
    State(app): State<App>,
    Path(path): Path<PoolPath>,
    Body(body): Body<WorkQueueCreate>,
) -> Result<(StatusCode, Json<WorkQueueAnswer>)> {
    let made = create_queue(&app, Some(path.name()), &body).await;
    let answer = path.worded(made).map_err(|error| match error {
        // Prefect forgot to fill the name in.
        Error::Conflict(_) => {
            Error::Conflict("A work queue with this name already exists in work pool {work_pool_name!r}.".into())
        }
        other => other,
    })?;
    Ok((StatusCode::CREATED, Json(answer)))
}
