//! `GET /concurrency_limits/{id}`: reads the limit of a tag by its id.

use axum::{extract::State, routing::get};
use common::{
    App, InWords, Result,
    http::{Json, Path, Route, extract::Id},
    model::{ConcurrencyLimitId, concurrency_limit::TagConcurrencyLimit},
};

use crate::NOT_FOUND;

/// The contract's `read_concurrency_limit`.
pub static ROUTE: Route = Route::get("read_concurrency_limit", "/concurrency_limits/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<ConcurrencyLimitId>>) -> Result<Json<TagConcurrencyLimit>> {
    Ok(Json(app.store.tag_limit(path.id, app.now()).await.in_words(NOT_FOUND)?))
}
