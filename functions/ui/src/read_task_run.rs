//! `GET /ui/task_runs/{id}`: reads a task run and the name of its flow run.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route, extract::Id},
    model::{TaskRun, TaskRunId},
};
use serde::Serialize;

/// The contract's `read_task_run_with_flow_run_name`.
pub static ROUTE: Route = Route::get("read_task_run_with_flow_run_name", "/ui/task_runs/{id}", || get(read));

/// A task run and the name of its flow run (contract schema `UITaskRun`).
#[derive(Debug, Serialize)]
struct NamedTaskRun {
    #[serde(flatten)]
    run: TaskRun,
    flow_run_name: Option<String>,
}

async fn read(State(app): State<App>, Path(path): Path<Id<TaskRunId>>) -> Result<Json<NamedTaskRun>> {
    let found = app.store.task_run(path.id).await?.ok_or_else(|| Error::not_found_in_words("Task not found"))?;
    let flow_run = match found.record.flow_run_id {
        Some(id) => app.store.flow_run(id).await?,
        None => None,
    };
    let flow_run_name = flow_run.map(|found| found.record.name);
    Ok(Json(NamedTaskRun { run: found.record.with_estimates(app.now()), flow_run_name }))
}
