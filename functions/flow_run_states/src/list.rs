//! `GET /flow_run_states/`: reads the states of a flow run, oldest first.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Query, Route},
    model::{self, FlowRunId},
};
use serde::Deserialize;

/// The contract's `read_flow_run_states`.
pub static ROUTE: Route = Route::get("read_flow_run_states", "/flow_run_states/", || get(list));

#[derive(Debug, Deserialize)]
struct OfFlowRun {
    flow_run_id: FlowRunId,
}

async fn list(State(app): State<App>, Query(query): Query<OfFlowRun>) -> Result<Json<Vec<model::State>>> {
    Ok(Json(app.store.flow_run_states(query.flow_run_id).await?))
}
