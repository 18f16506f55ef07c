//! `GET /work_pools/{name}`: reads a work pool.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Result,
    http::{Path, Route},
};

use crate::{path::PoolPath, response::WorkPoolResponse};

/// The contract's `read_work_pool`.
pub static ROUTE: Route = Route::get("read_work_pool", "/work_pools/{name}", || get(read));

async fn read(State(api): State<Api>, Path(path): Path<PoolPath>) -> Result<Json<WorkPoolResponse>> {
    Ok(Json(path.pool(&api).await?.record.pool.into()))
}
