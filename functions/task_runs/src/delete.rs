//! `DELETE /task_runs/{id}`: deletes a task run with its states.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    model::TaskRunId,
    store::task_runs,
};

use crate::NOT_FOUND;

/// The contract's `delete_task_run`.
pub static ROUTE: Route =
    Route::delete("delete_task_run", "/task_runs/{id}", || on_delete(delete)).accessing(task_runs::DELETE);

async fn delete(State(app): State<App>, Path(path): Path<Id<TaskRunId>>) -> Result<StatusCode> {
    if app.store.delete_task_run(path.id, app.now(), app.settings.longest_waits).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found_in_words(NOT_FOUND))
    }
}
