//! `POST /deployments/filter`: reads the deployments that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::DeploymentSort,
    http::{Body, Route},
    model::deployment::DeploymentAnswer,
    store::{Needs, flow_run_query::RunFilters, select::Window},
};
use serde::Deserialize;

use crate::answers;

/// The contract's `read_deployments`.
pub static ROUTE: Route =
    Route::post("read_deployments", "/deployments/filter", || post(filter)).needing(Needs::FILTERS);

#[derive(Debug, Deserialize)]
struct DeploymentQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: DeploymentSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(api): State<Api>, Body(query): Body<DeploymentQuery>) -> Result<Json<Vec<DeploymentAnswer>>> {
    let found = api.store.deployments(&query.filters, query.sort, query.window).await?;
    Ok(Json(answers::all(&api, &found).await?))
}
