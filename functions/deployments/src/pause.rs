//! `POST /deployments/{id}/pause_deployment`: pauses a deployment, and deletes the runs that wait for its schedules.

use axum::{extract::State, routing::post};
use common::{
    App, Result, deployment_pauses,
    http::{Json, Path, Route, extract::Id},
    model::DeploymentId,
    store::deployments,
};

/// The contract's `pause_deployment`.
pub static ROUTE: Route = Route::post("pause_deployment", "/deployments/{id}/pause_deployment", || post(pause))
    .accessing(deployments::DELETE_VOID_RUNS);

async fn pause(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<()>> {
    deployment_pauses::pause(&app, path.id, &[]).await.map(Json)
}
