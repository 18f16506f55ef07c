//! `DELETE /work_pools/{work_pool_name}/workers/{name}`: forgets a worker.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, InWords, Result,
    http::{Path, Route},
};
use serde::Deserialize;

use crate::path::pool_in_words;

/// The contract's `delete_worker`.
pub static ROUTE: Route =
    Route::delete("delete_worker", "/work_pools/{work_pool_name}/workers/{name}", || on_delete(delete));

#[derive(Debug, Deserialize)]
struct WorkerPath {
    work_pool_name: String,
    name: String,
}

async fn delete(State(app): State<App>, Path(path): Path<WorkerPath>) -> Result<StatusCode> {
    let deleted = app.store.delete_worker(&path.work_pool_name, &path.name, app.now()).await;
    deleted.map_err(|error| pool_in_words(&path.work_pool_name, error)).in_words("Worker not found.")?;
    Ok(StatusCode::NO_CONTENT)
}
