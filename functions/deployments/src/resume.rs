//! `POST /deployments/{id}/resume_deployment`: lets a paused deployment go on.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    http::{Path, Route, extract::Id},
    model::DeploymentId,
};

use crate::pause::set_paused;

/// The contract's `resume_deployment`.
pub static ROUTE: Route = Route::post("resume_deployment", "/deployments/{id}/resume_deployment", || post(resume));

async fn resume(State(api): State<Api>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<()>> {
    set_paused(&api, path.id, false).await?;
    Ok(Json(()))
}
