//! `GET /work_pools/{name}`: reads a work pool.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Error, Result,
    http::{Path, Route},
    store::{Needs, table::Index},
};

use crate::{
    path::PoolPath,
    response::{self, WorkPoolResponse},
};

/// The contract's `read_work_pool`.
pub static ROUTE: Route =
    Route::get("read_work_pool", "/work_pools/{name}", || get(read)).needing(Needs::READS.through(&[Index::Occupying]));

async fn read(State(api): State<Api>, Path(path): Path<PoolPath>) -> Result<Json<WorkPoolResponse>> {
    let found = path.pool(&api).await?.record;
    let answer = response::pools(&api, vec![found]).await?.pop();
    answer.map(Json).ok_or_else(|| Error::Internal("a pool has one answer".into()))
}
