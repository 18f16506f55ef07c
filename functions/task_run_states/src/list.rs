//! `GET /task_run_states/`: reads the states of a task run, oldest first.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Query, Route},
    model::{self, TaskRunId},
};
use serde::Deserialize;

/// The contract's `read_task_run_states`.
pub static ROUTE: Route = Route::get("read_task_run_states", "/task_run_states/", || get(list));

#[derive(Debug, Deserialize)]
struct OfTaskRun {
    task_run_id: TaskRunId,
}

async fn list(State(app): State<App>, Query(query): Query<OfTaskRun>) -> Result<Json<Vec<model::State>>> {
    Ok(Json(app.store.task_run_states(query.task_run_id).await?))
}
