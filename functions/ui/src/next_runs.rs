//! `POST /ui/flows/next-runs`: reads which flow run of each flow starts next.

use axum::{extract::State, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Json, Route},
    model::{FlowId, FlowRun, FlowRunId, StateType, Timestamp},
    store::waiting_runs,
};
use futures::{StreamExt, TryStreamExt, stream};
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};

use crate::AT_ONCE;

/// The contract's `next_runs_by_flow`.
pub static ROUTE: Route =
    Route::post("next_runs_by_flow", "/ui/flows/next-runs", || post(next_runs)).accessing(waiting_runs::NEXT_OF_FLOW);

#[derive(Debug, Deserialize)]
struct Flows {
    flow_ids: IndexSet<FlowId>,
}

/// The flow run of a flow that starts next (contract schema `SimpleNextFlowRun`).
#[derive(Debug, Serialize)]
struct SimpleNextFlowRun {
    id: FlowRunId,
    flow_id: FlowId,
    name: String,
    state_name: String,
    state_type: StateType,
    next_scheduled_start_time: Timestamp,
}

type NextRuns = IndexMap<FlowId, Option<SimpleNextFlowRun>>;

async fn next_runs(State(app): State<App>, Body(body): Body<Flows>) -> Result<Json<NextRuns>> {
    let store = &app.store;
    let runs = stream::iter(body.flow_ids)
        .map(|id| async move {
            let run = store.next_run_of_flow(id).await?;
            Ok::<_, Error>((id, run.and_then(SimpleNextFlowRun::of)))
        })
        .buffered(AT_ONCE);
    Ok(Json(runs.try_collect().await?))
}

impl SimpleNextFlowRun {
    /// Returns what is shown of a scheduled run.
    fn of(run: FlowRun) -> Option<Self> {
        let state_type = run.state_type?;
        Some(Self {
            id: run.id,
            flow_id: run.flow_id,
            name: run.name,
            state_name: run.state_name.unwrap_or_else(|| state_type.default_name().to_owned()),
            state_type,
            next_scheduled_start_time: run.next_scheduled_start_time?,
        })
    }
}
