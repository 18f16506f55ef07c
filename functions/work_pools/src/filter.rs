//! `POST /work_pools/filter`: reads the work pools that match, by name.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::WorkPoolFilter,
    http::{Body, Json, Route, extract::FromClient},
    store::{occupancy, select::Window, work_pools},
};
use serde::Deserialize;

use crate::response::{self, WorkPoolResponse};

/// The contract's `read_work_pools`.
pub static ROUTE: Route = Route::post("read_work_pools", "/work_pools/filter", || post(filter))
    .accessing(work_pools::FILTER.and(occupancy::SLOTS));

#[derive(Debug, Deserialize)]
struct WorkPoolQuery {
    work_pools: Option<WorkPoolFilter>,
    #[serde(flatten)]
    window: Window,
}

async fn filter(
    State(app): State<App>,
    client: FromClient,
    Body(query): Body<WorkPoolQuery>,
) -> Result<Json<Vec<WorkPoolResponse>>> {
    let pools = app.store.work_pools(query.work_pools.as_ref(), query.window).await?;
    Ok(Json(response::pools(&app, pools, &client).await?))
}
