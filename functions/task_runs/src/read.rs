//! `GET /task_runs/{id}`: reads a task run.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route, extract::Id},
    model::{TaskRun, TaskRunId},
};

use crate::NOT_FOUND;

/// The contract's `read_task_run`.
pub static ROUTE: Route = Route::get("read_task_run", "/task_runs/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<TaskRunId>>) -> Result<Json<TaskRun>> {
    let run = app.store.task_run(path.id).await?.ok_or_else(|| Error::not_found_in_words(NOT_FOUND))?;
    Ok(Json(run.record.with_estimates(app.now())))
}
