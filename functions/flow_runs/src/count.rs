//! `POST /flow_runs/count`: counts the flow runs that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    http::{Body, Route},
    store::{Needs, flow_run_query::RunFilters},
};

/// The contract's `count_flow_runs`.
pub static ROUTE: Route = Route::post("count_flow_runs", "/flow_runs/count", || post(count)).needing(Needs::FILTERS);

async fn count(State(api): State<Api>, Body(filters): Body<RunFilters>) -> Result<Json<u64>> {
    Ok(Json(api.store.count_flow_runs(&filters).await?))
}
