//! `GET /dead_letters`: reads a page of the work that failed for good, the last put aside first.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Route, extract::Query},
    model::DeadLetter,
    store::{dead_letters, select::Window},
};

/// Our own `read_dead_letters`.
pub static ROUTE: Route = Route::get("read_dead_letters", "/dead_letters", || get(read)).accessing(dead_letters::PAGE);

async fn read(State(app): State<App>, Query(window): Query<Window>) -> Result<Json<Vec<DeadLetter>>> {
    Ok(Json(app.store.dead_letters(window).await?))
}
