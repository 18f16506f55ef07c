//! `DELETE /deployments/{id}`: deletes a deployment with its limit and its runs that never ran.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    jobs::removals,
    model::DeploymentId,
    store::{
        TableAccess,
        commit::retry_on_conflict,
        table::{self, Index},
    },
};

/// The contract's `delete_deployment`.
pub static ROUTE: Route = Route::delete("delete_deployment", "/deployments/{id}", || on_delete(delete))
    .accessing(TableAccess::WRITES_MANY.via(&[Index::ByParent, Index::Related, Index::WaitingOfDeployment]));

async fn delete(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<StatusCode> {
    retry_on_conflict(|| async {
        let found = app.store.deployment(path.id).await?.ok_or_else(|| Error::not_found("Deployment"))?;
        app.store.delete_deployment(found).await
    })
    .await?;
    removals::within_request(&app, [table::deployment(path.id)]).await;
    Ok(StatusCode::NO_CONTENT)
}
