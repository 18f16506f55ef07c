//! `DELETE /concurrency_limits/{id}`: deletes a limit by its id, also one that is no tag's, as Prefect does.

use axum::{extract::State, routing::delete as on_delete};
use common::{
    App, InWords, Result,
    http::{Json, Path, Route, extract::Id},
    model::ConcurrencyLimitId,
};

use crate::NOT_FOUND;

/// The contract's `delete_concurrency_limit`.
pub static ROUTE: Route = Route::delete("delete_concurrency_limit", "/concurrency_limits/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<ConcurrencyLimitId>>) -> Result<Json<()>> {
    app.store.delete_tag_limit(path.id, app.now(), app.settings.longest_waits).await.in_words(NOT_FOUND)?;
    Ok(Json(()))
}
