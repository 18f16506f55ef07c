//! `POST /flow_runs/{id}/set_state`: proposes a state for a flow run.

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
    model::{FlowRunId, StateCreate},
    transitions::{PROPOSE_FLOW_RUN_STATE, Proposal, propose_flow_run_state},
};
use serde::Deserialize;

/// The contract's `set_flow_run_state`.
pub static ROUTE: Route = Route::post("set_flow_run_state", "/flow_runs/{id}/set_state", || post(set_state))
    .accessing(PROPOSE_FLOW_RUN_STATE);

#[derive(Debug, Deserialize)]
struct ProposedState {
    state: StateCreate,
    force: bool,
}

async fn set_state(
    State(app): State<App>,
    Path(path): Path<Id<FlowRunId>>,
    FromClient(client): FromClient,
    Body(body): Body<ProposedState>,
) -> Result<Response> {
    let proposal = Proposal::new(body.state, body.force, client);
    let outcome = propose_flow_run_state(&app, path.id, &proposal).await?;
    let status = if outcome.entered { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(outcome.result())).into_response())
}
