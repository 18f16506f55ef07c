//! `PUT /saved_searches/`: saves a search, in place of the one of that name.

use axum::{extract::State, http::StatusCode, routing::put};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::{SavedSearch, SavedSearchFilter, SavedSearchId},
    store::Added,
};
use serde::Deserialize;

/// The contract's `create_saved_search`.
pub static ROUTE: Route = Route::put("create_saved_search", "/saved_searches/", || put(create));

#[derive(Debug, Deserialize)]
struct SavedSearchCreate {
    name: String,
    filters: Vec<SavedSearchFilter>,
}

async fn create(
    State(app): State<App>,
    Body(body): Body<SavedSearchCreate>,
) -> Result<(StatusCode, Json<SavedSearch>)> {
    let now = app.now();
    let SavedSearchCreate { name, filters } = body;
    let search = SavedSearch { id: SavedSearchId::new(), created: now, updated: now, name, filters };
    let replace = |saved: &mut SavedSearch| {
        saved.filters.clone_from(&search.filters);
        Ok(())
    };
    let (saved, added) = app.store.upsert(&search, replace).await?;
    let status = match added {
        Added::Created => StatusCode::CREATED,
        Added::Existed => StatusCode::OK,
    };
    Ok((status, Json(saved)))
}
