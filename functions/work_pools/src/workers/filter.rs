//! `POST /work_pools/{work_pool_name}/workers/filter`: reads the workers of a work pool that match, by last heartbeat.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::WorkerFilter,
    http::{Body, Json, Path, Route},
    model::Worker,
    store::{TableAccess, select::Window},
};
use serde::Deserialize;

use crate::path::PoolPath;

/// The contract's `read_workers`.
pub static ROUTE: Route = Route::post("read_workers", "/work_pools/{work_pool_name}/workers/filter", || post(filter))
    .accessing(TableAccess::READS);

#[derive(Debug, Deserialize)]
struct WorkerQuery {
    workers: Option<WorkerFilter>,
    #[serde(flatten)]
    window: Window,
}

async fn filter(
    State(app): State<App>,
    Path(path): Path<PoolPath>,
    Body(query): Body<WorkerQuery>,
) -> Result<Json<Vec<Worker>>> {
    let pool = path.pool(&app).await?.record.pool;
    Ok(Json(app.store.workers(pool.id, query.workers.as_ref(), query.window).await?))
}
