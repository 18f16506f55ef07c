//! `POST /deployments/bulk_delete`: deletes the deployments that match, up to fifty.

use axum::{extract::State, routing::post};
use common::{
    App, Error, Result,
    filter::{DeploymentFilter, DeploymentSort, RunFilters},
    http::{Body, Json, Route},
    jobs::{bulk, removals},
    model::DeploymentId,
    store::{deployments, select::Window, table},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

/// The contract's `bulk_delete_deployments`.
pub static ROUTE: Route = Route::post("bulk_delete_deployments", "/deployments/bulk_delete", || post(bulk_delete))
    .accessing(deployments::FILTER.and(removals::OF_DEPLOYMENTS));

#[derive(Debug, Deserialize)]
struct WhichDeployments {
    deployments: Option<DeploymentFilter>,
    /// How many are deleted at most, 1 to 50.
    limit: usize,
}

#[derive(Debug, Serialize)]
struct Deleted {
    deleted: Vec<DeploymentId>,
}

async fn bulk_delete(State(app): State<App>, Body(which): Body<WhichDeployments>) -> Result<Json<Deleted>> {
    let filters = RunFilters { deployments: which.deployments, ..RunFilters::default() };
    let window = Window { offset: 0, limit: which.limit };
    let found = app.store.deployments(&filters, DeploymentSort::default(), window).await?;
    let deleted = stream::iter(found)
        .map(|deployment| {
            let (app, id) = (&app, deployment.id);
            async move { delete(app, id).await }
        })
        .buffered(bulk::AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    let deleted: Vec<DeploymentId> = deleted.into_iter().flatten().collect();
    removals::within_request(&app, deleted.iter().copied().map(table::deployment)).await;
    Ok(Json(Deleted { deleted }))
}

/// Deletes a deployment; returns its id if it was still there.
async fn delete(app: &App, id: DeploymentId) -> Result<Option<DeploymentId>> {
    match app.store.delete_deployment(id).await {
        Ok(()) => Ok(Some(id)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
