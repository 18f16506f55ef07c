//! `GET /deployments/name/{flow_name}/{deployment_name}`: reads a deployment by its name and its flow's.

use axum::{extract::State, routing::get};
use common::{
    App, Result, deployment_responses,
    http::{Json, Path, Route},
    model::deployment::DeploymentResponse,
};
use serde::Deserialize;

/// The contract's `read_deployment_by_name`.
pub static ROUTE: Route =
    Route::get("read_deployment_by_name", "/deployments/name/{flow_name}/{deployment_name}", || get(read_by_name));

#[derive(Debug, Deserialize)]
struct Names {
    flow_name: String,
    deployment_name: String,
}

async fn read_by_name(State(app): State<App>, Path(names): Path<Names>) -> Result<Json<DeploymentResponse>> {
    let found = app.store.deployment_by_names(&names.flow_name, &names.deployment_name).await?;
    Ok(Json(deployment_responses::one(&app, &found).await?))
}
