//! `POST /task_runs/history`: counts task runs by state in intervals of their expected start time.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::RunFilters,
    history::{History, Interval},
    http::{Body, Json, Route},
    model::Timestamp,
    store::task_run_query,
};
use serde::Deserialize;

/// The contract's `task_run_history`.
pub static ROUTE: Route =
    Route::post("task_run_history", "/task_runs/history", || post(history)).accessing(task_run_query::HISTORY);

#[derive(Debug, Deserialize)]
struct HistoryQuery {
    #[serde(flatten)]
    filters: RunFilters,
    history_start: Timestamp,
    history_end: Timestamp,
    history_interval_seconds: f64,
}

async fn history(State(app): State<App>, Body(query): Body<HistoryQuery>) -> Result<Json<Vec<Interval>>> {
    let mut history = History::new(query.history_start, query.history_end, query.history_interval_seconds)?;
    app.store.task_run_history(&query.filters, &mut history, app.now()).await?;
    Ok(Json(history.into_intervals()))
}
