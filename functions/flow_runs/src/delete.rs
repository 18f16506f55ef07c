//! `DELETE /flow_runs/{id}`: deletes a flow run with its task runs and, in its wake, what else belongs to it.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    jobs::removals,
    model::FlowRunId,
    store::table,
};

/// The contract's `delete_flow_run`.
pub static ROUTE: Route =
    Route::delete("delete_flow_run", "/flow_runs/{id}", || on_delete(delete)).accessing(removals::OF_FLOW_RUNS);

async fn delete(State(app): State<App>, Path(path): Path<Id<FlowRunId>>) -> Result<StatusCode> {
    if !app.store.delete_flow_run(path.id, app.now(), app.settings.longest_waits).await? {
        return Err(Error::missing("flow-run"));
    }
    removals::within_request(&app, [table::flow_run(path.id)]).await;
    Ok(StatusCode::NO_CONTENT)
}
