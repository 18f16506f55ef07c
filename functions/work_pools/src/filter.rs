//! `POST /work_pools/filter`: reads the work pools that match, by name.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::WorkPoolFilter,
    http::{Body, Route},
    store::{Needs, select::Window, table::Index},
};
use serde::Deserialize;

use crate::response::{self, WorkPoolResponse};

/// The contract's `read_work_pools`.
pub static ROUTE: Route = Route::post("read_work_pools", "/work_pools/filter", || post(filter))
    .needing(Needs::READS.through(&[Index::ByName, Index::Occupying]));

#[derive(Debug, Deserialize)]
struct WorkPoolQuery {
    work_pools: Option<WorkPoolFilter>,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(api): State<Api>, Body(query): Body<WorkPoolQuery>) -> Result<Json<Vec<WorkPoolResponse>>> {
    let pools = api.store.work_pools(query.work_pools.as_ref(), query.window).await?;
    Ok(Json(response::pools(&api, pools).await?))
}
