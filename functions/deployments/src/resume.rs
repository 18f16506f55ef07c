//! `POST /deployments/{id}/resume_deployment`: lets a paused deployment go on.

use axum::{extract::State, routing::post};
use common::{
    App, Result, deployment_pauses,
    http::{Json, Path, Route, extract::Id},
    model::DeploymentId,
};

/// The contract's `resume_deployment`.
pub static ROUTE: Route = Route::post("resume_deployment", "/deployments/{id}/resume_deployment", || post(resume));

async fn resume(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<()>> {
    deployment_pauses::resume(&app, path.id, &[]).await.map(Json)
}
