//! `POST /deployments/filter`: reads the deployments that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result, deployment_responses,
    filter::{DeploymentSort, RunFilters},
    http::{Body, Json, Route},
    model::deployment::DeploymentResponse,
    store::{deployments, select::Window},
};
use serde::Deserialize;

/// The contract's `read_deployments`.
pub static ROUTE: Route =
    Route::post("read_deployments", "/deployments/filter", || post(filter)).accessing(deployments::FILTER);

#[derive(Debug, Deserialize)]
struct DeploymentQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: DeploymentSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<DeploymentQuery>) -> Result<Json<Vec<DeploymentResponse>>> {
    let found = app.store.deployments(&query.filters, query.sort, query.window).await?;
    Ok(Json(deployment_responses::all(&app, &found).await?))
}
