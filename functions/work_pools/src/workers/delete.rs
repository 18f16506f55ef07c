//! `DELETE /work_pools/{work_pool_name}/workers/{name}`: forgets a worker.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route},
};
use serde::Deserialize;

/// The contract's `delete_worker`.
pub static ROUTE: Route =
    Route::delete("delete_worker", "/work_pools/{work_pool_name}/workers/{name}", || on_delete(delete));

#[derive(Debug, Deserialize)]
struct WorkerPath {
    work_pool_name: String,
    name: String,
}

async fn delete(State(app): State<App>, Path(path): Path<WorkerPath>) -> Result<StatusCode> {
    if app.store.delete_worker(&path.work_pool_name, &path.name, app.now()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::not_found_in_words("Worker not found."))
    }
}
