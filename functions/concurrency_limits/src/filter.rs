//! `POST /concurrency_limits/filter`: reads a page of the limits of all tags, by tag.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::concurrency_limit::TagConcurrencyLimit,
    store::{select::Window, tag_limits},
};

/// The contract's `read_concurrency_limits`.
pub static ROUTE: Route =
    Route::post("read_concurrency_limits", "/concurrency_limits/filter", || post(filter)).accessing(tag_limits::PAGE);

async fn filter(State(app): State<App>, Body(window): Body<Window>) -> Result<Json<Vec<TagConcurrencyLimit>>> {
    Ok(Json(app.store.tag_limits(window, app.now()).await?))
}
