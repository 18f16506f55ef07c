//! `POST /work_pools/count`: counts the work pools that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::WorkPoolFilter,
    http::{Body, Json, Route},
    store::work_pools,
};
use serde::Deserialize;

/// The contract's `count_work_pools`.
pub static ROUTE: Route =
    Route::post("count_work_pools", "/work_pools/count", || post(count)).accessing(work_pools::FILTER);

#[derive(Debug, Deserialize)]
struct WorkPoolCount {
    work_pools: Option<WorkPoolFilter>,
}

async fn count(State(app): State<App>, Body(query): Body<WorkPoolCount>) -> Result<Json<u64>> {
    Ok(Json(app.store.count_work_pools(query.work_pools.as_ref()).await?))
}
