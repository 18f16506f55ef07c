//! `DELETE /v2/concurrency_limits/{id_or_name}`: deletes a concurrency limit.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Result,
    http::{Path, Route},
    store::commit::retry_on_conflict,
};

use crate::path::IdOrName;

/// The contract's `delete_concurrency_limit_v2`.
pub static ROUTE: Route =
    Route::delete("delete_concurrency_limit_v2", "/v2/concurrency_limits/{id_or_name}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<IdOrName>) -> Result<StatusCode> {
    retry_on_conflict(|| async {
        let found = path.limit(&app).await?;
        app.store.delete_concurrency_limit(found.record, found.version).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
