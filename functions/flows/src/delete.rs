//! `DELETE /flows/{id}`: deletes a flow with its deployments and its runs.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    jobs::removals,
    model::{Flow, FlowId},
    store::table,
};

/// The contract's `delete_flow`.
pub static ROUTE: Route =
    Route::delete("delete_flow", "/flows/{id}", || on_delete(delete)).accessing(removals::OF_FLOWS);

async fn delete(State(app): State<App>, Path(path): Path<Id<FlowId>>) -> Result<StatusCode> {
    app.store.delete::<Flow>(path.id).await?;
    removals::within_request(&app, [table::flow(path.id)]).await;
    Ok(StatusCode::NO_CONTENT)
}
