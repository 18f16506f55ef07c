//! `POST /work_pools/count`: counts the work pools that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::WorkPoolFilter,
    http::{Body, Route},
    store::{Needs, table::Index},
};
use serde::Deserialize;

/// The contract's `count_work_pools`.
pub static ROUTE: Route = Route::post("count_work_pools", "/work_pools/count", || post(count))
    .needing(Needs::READS.through(&[Index::ByName]));

#[derive(Debug, Deserialize)]
struct WorkPoolCount {
    work_pools: Option<WorkPoolFilter>,
}

async fn count(State(api): State<Api>, Body(query): Body<WorkPoolCount>) -> Result<Json<u64>> {
    Ok(Json(api.store.count_work_pools(query.work_pools.as_ref()).await?))
}
