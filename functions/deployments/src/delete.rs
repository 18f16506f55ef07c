//! `DELETE /deployments/{id}`: deletes a deployment with its limit and its runs that never ran.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    jobs::removals,
    model::DeploymentId,
    store::table,
};

/// The contract's `delete_deployment`.
pub static ROUTE: Route =
    Route::delete("delete_deployment", "/deployments/{id}", || on_delete(delete)).accessing(removals::OF_DEPLOYMENTS);

async fn delete(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<StatusCode> {
    app.store.delete_deployment(path.id).await?;
    removals::within_request(&app, [table::deployment(path.id)]).await;
    Ok(StatusCode::NO_CONTENT)
}
