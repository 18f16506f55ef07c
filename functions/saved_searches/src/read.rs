//! `GET /saved_searches/{id}`: reads a saved search.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Path, Route, extract::Id},
    model::{SavedSearch, SavedSearchId},
};

/// The contract's `read_saved_search`.
pub static ROUTE: Route = Route::get("read_saved_search", "/saved_searches/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<SavedSearchId>>) -> Result<Json<SavedSearch>> {
    Ok(Json(app.store.read_one::<SavedSearch>(path.id).await?.record))
}
