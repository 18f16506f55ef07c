//! `POST /deployments/{id}/pause_deployment`: pauses a deployment, and deletes the runs that wait for its schedules.

use axum::{Json, extract::State, routing::post};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    model::DeploymentId,
    store::{TableAccess, commit::retry_on_conflict, deployments::AutoScheduled, table::Index},
};

/// The contract's `pause_deployment`.
pub static ROUTE: Route = Route::post("pause_deployment", "/deployments/{id}/pause_deployment", || post(pause))
    .accessing(TableAccess::WRITES.via(&[Index::WaitingOfDeployment]));

async fn pause(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<()>> {
    set_paused(&app, path.id, true).await?;
    app.store.delete_scheduled_runs(path.id, AutoScheduled::All).await?;
    Ok(Json(()))
}

/// Pauses the deployment or lets it go on; as Prefect, that is no event.
pub(crate) async fn set_paused(app: &App, id: DeploymentId, paused: bool) -> Result<()> {
    retry_on_conflict(|| async {
        let found = app.store.deployment(id).await?.ok_or_else(|| Error::not_found("Deployment"))?;
        if found.record.paused == paused {
            return Ok(());
        }
        let mut changed = found.record.clone();
        changed.paused = paused;
        changed.updated = app.now();
        app.store.update_deployment_silently(&found, &changed).await
    })
    .await
}
