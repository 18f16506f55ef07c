//! `DELETE /task_runs/{id}`: deletes a task run with its states.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    Api, Error, Result,
    http::{Path, Route, extract::Id},
    model::TaskRunId,
    store::{Needs, table::Index},
};

/// The contract's `delete_task_run`.
pub static ROUTE: Route = Route::delete("delete_task_run", "/task_runs/{id}", || on_delete(delete))
    .needing(Needs::WRITES.through(&[Index::Related]));

async fn delete(State(api): State<Api>, Path(path): Path<Id<TaskRunId>>) -> Result<StatusCode> {
    if api.store.delete_task_run(path.id, api.now(), api.settings.longest_waits).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found("Task"))
    }
}
