//! `DELETE /flow_runs/{id}`: deletes a flow run and, in its wake, what belongs to it.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    model::FlowRunId,
};

/// The contract's `delete_flow_run`.
pub static ROUTE: Route = Route::delete("delete_flow_run", "/flow_runs/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<FlowRunId>>) -> Result<StatusCode> {
    if app.store.delete_flow_run(path.id, app.now(), app.settings.longest_waits).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found("Flow run"))
    }
}
