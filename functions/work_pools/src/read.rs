//! `GET /work_pools/{name}`: reads a work pool.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route, extract::FromClient},
    store::occupancy,
};

use crate::{
    path::PoolPath,
    response::{self, WorkPoolResponse},
};

/// The contract's `read_work_pool`.
pub static ROUTE: Route = Route::get("read_work_pool", "/work_pools/{name}", || get(read)).accessing(occupancy::SLOTS);

async fn read(
    State(app): State<App>,
    client: FromClient,
    Path(path): Path<PoolPath>,
) -> Result<Json<WorkPoolResponse>> {
    let found = path.pool(&app).await?.record;
    let answer = response::pools(&app, vec![found], &client).await?.pop();
    answer.map(Json).ok_or_else(|| Error::Internal("a pool has one answer".into()))
}
