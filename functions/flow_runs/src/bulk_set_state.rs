//! `POST /flow_runs/bulk_set_state`: proposes a state for the flow runs that match.
//!
//! The contract's answer tells of up to 50 what became of the proposal. For a client that prefers not to wait
//! (`Prefer: respond-async`) and names no limit it is made to all of them, and the answer tells where to ask how far
//! that has got.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use common::{
    App,
    error::Result,
    filter::{FlowRunFilter, FlowRunSort, RunFilters},
    http::{
        Body, Json, Route, Sent,
        bulk::accepted,
        extract::{FromClient, PrefersAsync},
    },
    jobs::bulk,
    model::{self, BulkAction, FlowRunId, StateCreate},
    orchestration::{Status, Verdict},
    store::{flow_run_query, select::Window},
    transitions::{PROPOSE_FLOW_RUN_STATE, Proposal, propose_flow_run_state},
};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The contract's `bulk_set_flow_run_state`.
pub static ROUTE: Route = Route::post("bulk_set_flow_run_state", "/flow_runs/bulk_set_state", || post(bulk_set_state))
    .accessing(flow_run_query::FILTER.and(bulk::BEGIN).and(PROPOSE_FLOW_RUN_STATE));

#[derive(Debug, Deserialize)]
struct ProposedStates {
    flow_runs: Option<FlowRunFilter>,
    state: StateCreate,
    force: bool,
    /// For how many flow runs the state is proposed at most, 1 to 50.
    limit: usize,
}

#[derive(Debug, Serialize)]
struct Results {
    results: Vec<Outcome>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    flow_run_id: FlowRunId,
    status: Status,
    state: Option<model::State>,
    details: Verdict,
}

async fn bulk_set_state(
    State(app): State<App>,
    FromClient(client): FromClient,
    PrefersAsync(is_async): PrefersAsync,
    Sent(sent): Sent<Value>,
    Body(body): Body<ProposedStates>,
) -> Result<Response> {
    let filters = RunFilters { flow_runs: body.flow_runs, ..RunFilters::default() };
    if is_async && sent.get("limit").is_none() {
        let work = BulkAction::SetFlowRunStates { state: body.state.into(), force: body.force, client };
        let begun = bulk::begin(&app, filters, work).await?;
        return Ok(accepted(&app, begun));
    }
    let window = Window { offset: 0, limit: body.limit };
    let runs = app.store.flow_runs(&filters, FlowRunSort::IdDesc, window).await?;
    let proposal = Proposal::new(body.state, body.force, client);
    let outcomes = stream::iter(runs)
        .map(|run| {
            let (app, proposal) = (&app, &proposal);
            async move { propose(app, run.id, proposal).await }
        })
        .buffered(bulk::AT_ONCE);
    Ok(Json(Results { results: outcomes.collect().await }).into_response())
}

/// Proposes the state; a failure is told of that flow run, as Prefect does, and the others go on.
async fn propose(app: &App, flow_run_id: FlowRunId, proposal: &Proposal) -> Outcome {
    let outcome = propose_flow_run_state(app, flow_run_id, proposal).await;
    let (state, details) = match outcome {
        Ok(outcome) => (outcome.state, outcome.verdict),
        Err(error) => {
            tracing::error!(%flow_run_id, %error, "a state could not be proposed");
            (None, Verdict::Abort { reason: error.public_message() })
        }
    };
    Outcome { flow_run_id, status: details.status(), state, details }
}
