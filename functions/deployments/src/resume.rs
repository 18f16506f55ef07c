//! `POST /deployments/{id}/resume_deployment`: lets a paused deployment go on.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Json, Path, Route, extract::Id},
    model::DeploymentId,
};

use crate::pause::set_paused;

/// The contract's `resume_deployment`.
pub static ROUTE: Route = Route::post("resume_deployment", "/deployments/{id}/resume_deployment", || post(resume));

async fn resume(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<()>> {
    app.store.update_deployment_silently(path.id, set_paused(&app, false)).await?;
    Ok(Json(()))
}
