//! `POST /work_pools/{work_pool_name}/workers/heartbeat`: takes the sign of life of a worker.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    Api, Result,
    http::{Body, Path, Route},
};
use serde::Deserialize;

use crate::path::PoolPath;

/// The contract's `worker_heartbeat`.
pub static ROUTE: Route =
    Route::post("worker_heartbeat", "/work_pools/{work_pool_name}/workers/heartbeat", || post(heartbeat));

#[derive(Debug, Deserialize)]
struct Heartbeat {
    name: String,
    heartbeat_interval_seconds: Option<i64>,
}

async fn heartbeat(
    State(api): State<Api>,
    Path(path): Path<PoolPath>,
    Body(body): Body<Heartbeat>,
) -> Result<StatusCode> {
    api.store.record_heartbeat(path.name(), &body.name, body.heartbeat_interval_seconds, api.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
