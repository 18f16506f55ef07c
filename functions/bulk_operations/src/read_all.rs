//! `GET /operations`: reads a page of operations on many flow runs and how far each has got, the last begun first.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Route, extract::Query},
    jobs::progress::Progress,
    store::{bulk_operations, select::Window},
};

/// Our own `read_bulk_operations`.
pub static ROUTE: Route =
    Route::get("read_bulk_operations", "/operations", || get(read)).accessing(bulk_operations::PAGE);

async fn read(State(app): State<App>, Query(window): Query<Window>) -> Result<Json<Vec<Progress>>> {
    let operations = app.store.bulk_operations(window).await?;
    let parts = app.store.bulk_parts(&operations).await?;
    Ok(Json(Progress::of_each(&operations, parts)))
}
