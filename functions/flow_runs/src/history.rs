//! `POST /flow_runs/history`: counts flow runs by state in intervals of their expected start time.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{RunFilters, WorkQueueFilter},
    history::{History, Interval},
    http::{Body, Json, Route},
    model::Timestamp,
    store::flow_run_query,
};
use serde::Deserialize;

/// The contract's `flow_run_history`.
pub static ROUTE: Route =
    Route::post("flow_run_history", "/flow_runs/history", || post(history)).accessing(flow_run_query::HISTORY);

#[derive(Debug, Deserialize)]
struct HistoryQuery {
    #[serde(flatten)]
    filters: RunFilters,
    /// The filter on work queues, which goes by another name in every other operation.
    work_queues: Option<WorkQueueFilter>,
    history_start: Timestamp,
    history_end: Timestamp,
    history_interval_seconds: f64,
}

async fn history(State(app): State<App>, Body(query): Body<HistoryQuery>) -> Result<Json<Vec<Interval>>> {
    let filters = RunFilters { work_pool_queues: query.work_queues, ..query.filters };
    let mut history = History::new(query.history_start, query.history_end, query.history_interval_seconds)?;
    app.store.flow_run_history(&filters, &mut history, app.now()).await?;
    Ok(Json(history.into_intervals()))
}
