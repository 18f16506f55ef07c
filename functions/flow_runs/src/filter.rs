//! `POST /flow_runs/filter`: reads the flow runs that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{FlowRunSort, RunFilters},
    http::{Body, Json, Route},
    model::FlowRun,
    store::{flow_run_query, select::Window},
};
use serde::Deserialize;

/// The contract's `read_flow_runs`.
pub static ROUTE: Route =
    Route::post("read_flow_runs", "/flow_runs/filter", || post(filter)).accessing(flow_run_query::FILTER);

#[derive(Debug, Deserialize)]
struct FlowRunQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: FlowRunSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<FlowRunQuery>) -> Result<Json<Vec<FlowRun>>> {
    let runs = app.store.flow_runs(&query.filters, query.sort, query.window).await?;
    let now = app.now();
    Ok(Json(runs.into_iter().map(|run| run.with_estimates(now)).collect()))
}
