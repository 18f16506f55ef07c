//! `POST /task_workers/filter`: reads the task workers that are connected.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::TaskWorker,
    store::task_workers,
};
use serde::Deserialize;

/// The contract's `read_task_workers`.
pub static ROUTE: Route =
    Route::post("read_task_workers", "/task_workers/filter", || post(filter)).accessing(task_workers::FILTER);

#[derive(Debug, Deserialize)]
struct Request {
    task_worker_filter: Option<Filter>,
}

#[derive(Debug, Default, Deserialize)]
struct Filter {
    task_keys: Vec<String>,
}

async fn filter(State(app): State<App>, Body(request): Body<Request>) -> Result<Json<Vec<TaskWorker>>> {
    let Filter { task_keys } = request.task_worker_filter.unwrap_or_default();
    Ok(Json(app.store.task_workers(&task_keys, app.now()).await?))
}
