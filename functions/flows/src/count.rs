//! `POST /flows/count`: counts the flows that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::RunFilters,
    http::{Body, Json, Route},
    store::flow_query,
};

/// The contract's `count_flows`.
pub static ROUTE: Route = Route::post("count_flows", "/flows/count", || post(count)).accessing(flow_query::COUNT);

async fn count(State(app): State<App>, Body(filters): Body<RunFilters>) -> Result<Json<u64>> {
    Ok(Json(app.store.count_flows(&filters).await?))
}
