//! `POST /flows/count`: counts the flows that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    http::{Body, Route},
    store::{Needs, flow_run_query::RunFilters},
};

/// The contract's `count_flows`.
pub static ROUTE: Route = Route::post("count_flows", "/flows/count", || post(count)).needing(Needs::FILTERS);

async fn count(State(api): State<Api>, Body(filters): Body<RunFilters>) -> Result<Json<u64>> {
    Ok(Json(api.store.count_flows(&filters).await?))
}
