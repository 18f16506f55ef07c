//! `DELETE /saved_searches/{id}`: deletes a saved search.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    model::{SavedSearch, SavedSearchId},
};

/// The contract's `delete_saved_search`.
pub static ROUTE: Route = Route::delete("delete_saved_search", "/saved_searches/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<SavedSearchId>>) -> Result<StatusCode> {
    app.store.delete::<SavedSearch>(path.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
