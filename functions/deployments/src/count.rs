//! `POST /deployments/count`: counts the deployments that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::RunFilters,
    http::{Body, Json, Route},
    store::deployments,
};

/// The contract's `count_deployments`.
pub static ROUTE: Route =
    Route::post("count_deployments", "/deployments/count", || post(count)).accessing(deployments::COUNT);

async fn count(State(app): State<App>, Body(filters): Body<RunFilters>) -> Result<Json<u64>> {
    Ok(Json(app.store.count_deployments(&filters).await?))
}
