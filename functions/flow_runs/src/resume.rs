//! `POST /flow_runs/{id}/resume`: resumes a paused flow run, with the input that it waits for.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use common::{
    App, Result, flow_run_resumption,
    http::{
        Body, Json, Path, Route,
        extract::{FromClient, Id},
    },
    model::{FlowRunId, Object},
    transitions::PROPOSE_FLOW_RUN_STATE,
};
use serde::Deserialize;

/// The contract's `resume_flow_run`.
pub static ROUTE: Route =
    Route::post("resume_flow_run", "/flow_runs/{id}/resume", || post(resume)).accessing(PROPOSE_FLOW_RUN_STATE);

#[derive(Debug, Deserialize)]
struct ResumptionInput {
    run_input: Option<Object>,
}

async fn resume(
    State(app): State<App>,
    Path(path): Path<Id<FlowRunId>>,
    FromClient(client): FromClient,
    Body(body): Body<ResumptionInput>,
) -> Result<Response> {
    let input = body.run_input.unwrap_or_default();
    let resumption = flow_run_resumption::resume(&app, path.id, input, client, Vec::new()).await?;
    let status = if resumption.entered() { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(resumption.result())).into_response())
}
