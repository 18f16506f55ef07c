//! `GET /deployments/{id}`: reads a deployment.

use axum::{extract::State, routing::get};
use common::{
    App, Result, deployment_responses,
    http::{Json, Path, Route, extract::Id},
    model::{Deployment, DeploymentId, deployment::DeploymentResponse},
};

/// The contract's `read_deployment`.
pub static ROUTE: Route = Route::get("read_deployment", "/deployments/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<DeploymentResponse>> {
    let found = app.store.read_one::<Deployment>(path.id).await?;
    Ok(Json(deployment_responses::one(&app, &found.record).await?))
}
