//! `POST /task_runs/{id}/set_state`: proposes a state for a task run.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use common::{
    App, Result,
    http::{
        Body, Json, Path, Route,
        extract::{FromClient, Id},
    },
    model::{StateCreate, TaskRunId},
    transitions::{Proposal, propose_task_run_state},
};
use serde::Deserialize;

/// The contract's `set_task_run_state`.
pub static ROUTE: Route = Route::post("set_task_run_state", "/task_runs/{id}/set_state", || post(set_state));

#[derive(Debug, Deserialize)]
struct ProposedState {
    state: StateCreate,
    force: bool,
}

async fn set_state(
    State(app): State<App>,
    Path(path): Path<Id<TaskRunId>>,
    FromClient(client): FromClient,
    Body(body): Body<ProposedState>,
) -> Result<Response> {
    let proposal = Proposal::new(body.state, body.force, client);
    let outcome = propose_task_run_state(&app, path.id, &proposal).await?;
    let status = if outcome.entered { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(outcome.result())).into_response())
}
