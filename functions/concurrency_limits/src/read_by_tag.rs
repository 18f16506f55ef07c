//! `GET /concurrency_limits/tag/{tag}`: reads the limit of a tag.

use axum::{extract::State, routing::get};
use common::{
    App, InWords, Result,
    http::{Json, Path, Route},
    model::concurrency_limit::TagConcurrencyLimit,
    store::tag_limits::limit_of,
};

use crate::{NOT_FOUND, Tag};

/// The contract's `read_concurrency_limit_by_tag`.
pub static ROUTE: Route = Route::get("read_concurrency_limit_by_tag", "/concurrency_limits/tag/{tag}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Tag>) -> Result<Json<TagConcurrencyLimit>> {
    Ok(Json(app.store.tag_limit(limit_of(&path.tag), app.now()).await.in_words(NOT_FOUND)?))
}
