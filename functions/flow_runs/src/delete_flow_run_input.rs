//! `DELETE /flow_runs/{id}/input/{key}`: deletes an input of a flow run.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route},
    model::{FlowRunId, InputKey},
};
use serde::Deserialize;

/// The contract's `delete_flow_run_input`.
pub static ROUTE: Route = Route::delete("delete_flow_run_input", "/flow_runs/{id}/input/{key}", || on_delete(delete));

#[derive(Debug, Deserialize)]
struct OfFlowRun {
    id: FlowRunId,
    key: String,
}

async fn delete(State(app): State<App>, Path(path): Path<OfFlowRun>) -> Result<StatusCode> {
    // No input has a key that no input may have.
    let is_deleted = match InputKey::try_from(path.key) {
        Ok(key) => app.store.delete_flow_run_input(path.id, &key).await?,
        Err(_) => false,
    };
    if is_deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Error::missing("flow-run-input")) }
}
