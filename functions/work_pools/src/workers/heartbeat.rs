//! `POST /work_pools/{work_pool_name}/workers/heartbeat`: takes the sign of life of a worker.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    http::{Body, Path, Route},
    store::workers::Heartbeat,
};
use serde::Deserialize;

use crate::path::PoolPath;

/// The contract's `worker_heartbeat`.
pub static ROUTE: Route =
    Route::post("worker_heartbeat", "/work_pools/{work_pool_name}/workers/heartbeat", || post(heartbeat));

#[derive(Debug, Deserialize)]
struct HeartbeatBody {
    name: String,
    heartbeat_interval_seconds: Option<i64>,
}

async fn heartbeat(
    State(app): State<App>,
    Path(path): Path<PoolPath>,
    Body(body): Body<HeartbeatBody>,
) -> Result<StatusCode> {
    let heartbeat = Heartbeat::new(&body.name, body.heartbeat_interval_seconds);
    path.worded(app.store.record_heartbeat(path.name(), &heartbeat, app.now()).await)?;
    Ok(StatusCode::NO_CONTENT)
}
