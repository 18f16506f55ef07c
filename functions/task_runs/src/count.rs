//! `POST /task_runs/count`: counts the task runs that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::RunFilters,
    http::{Body, Json, Route},
    store::task_run_query,
};

/// The contract's `count_task_runs`.
pub static ROUTE: Route =
    Route::post("count_task_runs", "/task_runs/count", || post(count)).accessing(task_run_query::COUNT);

async fn count(State(app): State<App>, Body(filters): Body<RunFilters>) -> Result<Json<u64>> {
    Ok(Json(app.store.count_task_runs(&filters).await?))
}
