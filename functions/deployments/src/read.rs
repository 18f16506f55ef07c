//! `GET /deployments/{id}`: reads a deployment.

use axum::{Json, extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    model::{DeploymentId, deployment::DeploymentResponse},
};

use crate::responses;

/// The contract's `read_deployment`.
pub static ROUTE: Route = Route::get("read_deployment", "/deployments/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<DeploymentResponse>> {
    let found = app.store.deployment(path.id).await?.ok_or_else(|| Error::not_found("Deployment"))?;
    Ok(Json(responses::one(&app, &found.record).await?))
}
