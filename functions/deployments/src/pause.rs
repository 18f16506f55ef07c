//! `POST /deployments/{id}/pause_deployment`: pauses a deployment, and deletes the runs that wait for its schedules.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Error, Result,
    http::{Path, Route, extract::Id},
    model::DeploymentId,
    store::{Needs, commit::until_uncontended, deployments::AutoScheduled, table::Index},
};

/// The contract's `pause_deployment`.
pub static ROUTE: Route = Route::post("pause_deployment", "/deployments/{id}/pause_deployment", || post(pause))
    .needing(Needs::WRITES.through(&[Index::WaitingOfDeployment]));

async fn pause(State(api): State<Api>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<()>> {
    set_paused(&api, path.id, true).await?;
    api.store.delete_scheduled_runs(path.id, AutoScheduled::All).await?;
    Ok(Json(()))
}

/// Pauses the deployment or lets it go on; as upstream, that is no event.
pub(crate) async fn set_paused(api: &Api, id: DeploymentId, paused: bool) -> Result<()> {
    until_uncontended(|| async {
        let found = api.store.deployment(id).await?.ok_or_else(|| Error::not_found("Deployment"))?;
        if found.record.paused == paused {
            return Ok(());
        }
        let mut changed = found.record.clone();
        changed.paused = paused;
        changed.updated = api.now();
        api.store.update_deployment_silently(&found, &changed).await
    })
    .await
}
