//! `DELETE /deployments/{id}`: deletes a deployment with its limit and, in its wake, its runs that never ran.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    Api, Error, Result,
    http::{Path, Route, extract::Id},
    model::DeploymentId,
    store::commit::until_uncontended,
};

/// The contract's `delete_deployment`.
pub static ROUTE: Route = Route::delete("delete_deployment", "/deployments/{id}", || on_delete(delete));

async fn delete(State(api): State<Api>, Path(path): Path<Id<DeploymentId>>) -> Result<StatusCode> {
    until_uncontended(|| async {
        let found = api.store.deployment(path.id).await?.ok_or_else(|| Error::not_found("Deployment"))?;
        api.store.delete_deployment(found).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
