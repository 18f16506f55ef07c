//! `GET /flow_runs/{id}/input/{key}`: reads the value of a flow run's input.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Path, Route},
    model::{FlowRunId, InputKey},
};
use serde::Deserialize;

/// The contract's `read_flow_run_input`.
pub static ROUTE: Route = Route::get("read_flow_run_input", "/flow_runs/{id}/input/{key}", || get(read));

#[derive(Debug, Deserialize)]
struct OfFlowRun {
    id: FlowRunId,
    key: String,
}

/// Answers the value as plain text.
async fn read(State(app): State<App>, Path(path): Path<OfFlowRun>) -> Result<String> {
    // No input has a key that no input may have.
    let found = match InputKey::try_from(path.key) {
        Ok(key) => app.store.flow_run_input(path.id, &key).await?,
        Err(_) => None,
    };
    Ok(found.ok_or_else(|| Error::missing("flow-run-input"))?.value)
}
