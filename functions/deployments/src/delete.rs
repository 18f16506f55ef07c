//! `DELETE /deployments/{id}`: deletes a deployment with its limit and, in its wake, its runs that never ran.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    model::DeploymentId,
    store::commit::retry_on_conflict,
};

/// The contract's `delete_deployment`.
pub static ROUTE: Route = Route::delete("delete_deployment", "/deployments/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<StatusCode> {
    retry_on_conflict(|| async {
        let found = app.store.deployment(path.id).await?.ok_or_else(|| Error::not_found("Deployment"))?;
        app.store.delete_deployment(found).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
