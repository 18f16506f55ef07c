//! `POST /task_runs/filter`: reads the task runs that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{RunFilters, TaskRunSort},
    http::{Body, Json, Route},
    model::TaskRun,
    store::{select::Window, task_run_query},
};
use serde::Deserialize;

/// The contract's `read_task_runs`.
pub static ROUTE: Route =
    Route::post("read_task_runs", "/task_runs/filter", || post(filter)).accessing(task_run_query::FILTER);

#[derive(Debug, Deserialize)]
struct TaskRunQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: TaskRunSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<TaskRunQuery>) -> Result<Json<Vec<TaskRun>>> {
    let runs = app.store.task_runs(&query.filters, query.sort, query.window).await?;
    let now = app.now();
    Ok(Json(runs.into_iter().map(|run| run.with_estimates(now)).collect()))
}
