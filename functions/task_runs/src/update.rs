//! `PATCH /task_runs/{id}`: renames a task run.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    http::{Path, Route, Sent, extract::Id},
    model::{TaskRun, TaskRunId, name::random_name},
    patch::Patch,
};
use serde::Deserialize;

/// The contract's `update_task_run`.
pub static ROUTE: Route = Route::patch("update_task_run", "/task_runs/{id}", || patch(update));

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TaskRunUpdate {
    /// As null it asks for a new random name.
    name: Patch<String>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<TaskRunId>>,
    Sent(body): Sent<TaskRunUpdate>,
) -> Result<StatusCode> {
    let rename = |run: &mut TaskRun| {
        match &body.name {
            Patch::Absent => {}
            Patch::Null => run.name = random_name(),
            Patch::Value(name) => run.name.clone_from(name),
        }
        run.updated = app.now();
    };
    app.store.update_task_run(path.id, rename).await?;
    Ok(StatusCode::NO_CONTENT)
}
