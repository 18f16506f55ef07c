//! `GET /deployments/{id}`: reads a deployment.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Error, Result,
    http::{Path, Route, extract::Id},
    model::{DeploymentId, deployment::DeploymentAnswer},
};

use crate::answers;

/// The contract's `read_deployment`.
pub static ROUTE: Route = Route::get("read_deployment", "/deployments/{id}", || get(read));

async fn read(State(api): State<Api>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<DeploymentAnswer>> {
    let found = api.store.deployment(path.id).await?.ok_or_else(|| Error::not_found("Deployment"))?;
    Ok(Json(answers::one(&api, &found.record).await?))
}
