//! `POST /saved_searches/filter`: reads a page of all saved searches, by name.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::SavedSearch,
    store::{saved_searches, select::Window},
};

/// The contract's `read_saved_searches`.
pub static ROUTE: Route =
    Route::post("read_saved_searches", "/saved_searches/filter", || post(filter)).accessing(saved_searches::PAGE);

async fn filter(State(app): State<App>, Body(window): Body<Window>) -> Result<Json<Vec<SavedSearch>>> {
    Ok(Json(app.store.saved_searches(window).await?))
}
