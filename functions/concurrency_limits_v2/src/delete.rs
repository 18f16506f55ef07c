//! `DELETE /v2/concurrency_limits/{id_or_name}`: deletes a concurrency limit.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, InWords, Result,
    http::{Path, Route},
    model::ConcurrencyLimit,
};

use crate::{NOT_FOUND, path::IdOrName};

/// The contract's `delete_concurrency_limit_v2`.
pub static ROUTE: Route =
    Route::delete("delete_concurrency_limit_v2", "/v2/concurrency_limits/{id_or_name}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<IdOrName>) -> Result<StatusCode> {
    app.store.delete::<ConcurrencyLimit>(path.limit()).await.in_words(NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}
