//! `POST /flow_runs/count`: counts the flow runs that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::RunFilters,
    http::{Body, Json, Route},
    store::flow_run_query,
};

/// The contract's `count_flow_runs`.
pub static ROUTE: Route =
    Route::post("count_flow_runs", "/flow_runs/count", || post(count)).accessing(flow_run_query::COUNT);

async fn count(State(app): State<App>, Body(filters): Body<RunFilters>) -> Result<Json<u64>> {
    Ok(Json(app.store.count_flow_runs(&filters).await?))
}
