//! `DELETE /concurrency_limits/tag/{tag}`: deletes the limit of a tag.

use axum::{extract::State, routing::delete as on_delete};
use common::{
    App, InWords, Result,
    http::{Json, Path, Route},
    store::tag_limits::limit_of,
};

use crate::{NOT_FOUND, Tag};

/// The contract's `delete_concurrency_limit_by_tag`.
pub static ROUTE: Route =
    Route::delete("delete_concurrency_limit_by_tag", "/concurrency_limits/tag/{tag}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Tag>) -> Result<Json<()>> {
    let longest = app.settings.longest_waits;
    app.store.delete_tag_limit(limit_of(&path.tag), app.now(), longest).await.in_words(NOT_FOUND)?;
    Ok(Json(()))
}
