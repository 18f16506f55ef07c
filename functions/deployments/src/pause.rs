//! `POST /deployments/{id}/pause_deployment`: pauses a deployment, and deletes the runs that wait for its schedules.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Json, Path, Route, extract::Id},
    model::{Deployment, DeploymentId},
    store::deployments::{self, AutoScheduled},
};

/// The contract's `pause_deployment`.
pub static ROUTE: Route = Route::post("pause_deployment", "/deployments/{id}/pause_deployment", || post(pause))
    .accessing(deployments::DELETE_SCHEDULED_RUNS);

async fn pause(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<()>> {
    set_paused(&app, path.id, true).await?;
    app.store.delete_scheduled_runs(path.id, AutoScheduled::All).await?;
    Ok(Json(()))
}

/// Pauses the deployment or lets it go on; as Prefect, that is no event.
pub(crate) async fn set_paused(app: &App, id: DeploymentId, paused: bool) -> Result<()> {
    let set = |deployment: &mut Deployment| {
        if deployment.paused != paused {
            deployment.paused = paused;
            deployment.updated = app.now();
        }
        Ok(())
    };
    app.store.update_deployment_silently(id, set).await
}
