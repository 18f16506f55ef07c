//! `POST /deployments/{id}/pause_deployment`: pauses a deployment, and deletes the runs that wait for its schedules.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Json, Path, Route, extract::Id},
    model::{Deployment, DeploymentId},
    store::deployments::{self, AutoScheduled},
    void_runs,
};

/// The contract's `pause_deployment`.
pub static ROUTE: Route = Route::post("pause_deployment", "/deployments/{id}/pause_deployment", || post(pause))
    .accessing(deployments::DELETE_VOID_RUNS);

async fn pause(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<()>> {
    let paused = app.store.reschedule_deployment(path.id, AutoScheduled::All, set_paused(&app, true)).await?;
    void_runs::after(&app, &paused).await?;
    Ok(Json(()))
}

/// Returns what pauses a deployment or lets it go on; as Prefect, that is no event.
pub(crate) fn set_paused(app: &App, paused: bool) -> impl Fn(&mut Deployment) -> Result<()> {
    move |deployment| {
        if deployment.paused != paused {
            deployment.paused = paused;
            deployment.updated = app.now();
        }
        Ok(())
    }
}
