//! `POST /deployments/count`: counts the deployments that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    http::{Body, Route},
    store::{Needs, flow_run_query::RunFilters},
};

/// The contract's `count_deployments`.
pub static ROUTE: Route =
    Route::post("count_deployments", "/deployments/count", || post(count)).needing(Needs::FILTERS);

async fn count(State(api): State<Api>, Body(filters): Body<RunFilters>) -> Result<Json<u64>> {
    Ok(Json(api.store.count_deployments(&filters).await?))
}
