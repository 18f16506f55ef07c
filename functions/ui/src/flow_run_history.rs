//! `POST /ui/flow_runs/history`: reads when the flow runs that match ran, and for how long.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{FlowRunSort, RunFilters},
    http::{Body, Json, Route},
    model::{FlowRun, FlowRunId, Seconds, StateType, Timestamp},
    store::{flow_run_query, select::Window},
};
use serde::{Deserialize, Serialize};

/// The contract's `read_flow_run_history`.
pub static ROUTE: Route =
    Route::post("read_flow_run_history", "/ui/flow_runs/history", || post(history)).accessing(flow_run_query::FILTER);

#[derive(Debug, Deserialize)]
struct HistoryQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: FlowRunSort,
    offset: usize,
    /// How many runs are wanted; a negative limit is none, as in Prefect's SQL.
    limit: i64,
}

/// A flow run in a chart (contract schema `SimpleFlowRun`).
#[derive(Debug, Serialize)]
struct SimpleFlowRun {
    id: FlowRunId,
    state_type: StateType,
    timestamp: Timestamp,
    duration: Seconds,
    lateness: Seconds,
}

async fn history(State(app): State<App>, Body(query): Body<HistoryQuery>) -> Result<Json<Vec<SimpleFlowRun>>> {
    let window = Window { offset: query.offset, limit: usize::try_from(query.limit).unwrap_or(usize::MAX) };
    let runs = app.store.flow_runs(&query.filters, query.sort, window).await?;
    let now = app.now();
    Ok(Json(runs.iter().filter_map(|run| SimpleFlowRun::at(run, now)).collect()))
}

impl SimpleFlowRun {
    /// Returns what a chart shows of `run` at `now`; a run without a state or a time has no place in it.
    fn at(run: &FlowRun, now: Timestamp) -> Option<Self> {
        Some(Self {
            id: run.id,
            state_type: run.state_type?,
            timestamp: run.start_time.or(run.expected_start_time)?,
            duration: run.estimated_run_time(now),
            lateness: run.estimated_start_time_delta(now),
        })
    }
}
