//! `DELETE /v2/concurrency_limits/{id_or_name}`: deletes a concurrency limit.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    Api, Result,
    http::{Path, Route},
    store::commit::until_uncontended,
};

use crate::path::IdOrName;

/// The contract's `delete_concurrency_limit_v2`.
pub static ROUTE: Route =
    Route::delete("delete_concurrency_limit_v2", "/v2/concurrency_limits/{id_or_name}", || on_delete(delete));

async fn delete(State(api): State<Api>, Path(path): Path<IdOrName>) -> Result<StatusCode> {
    until_uncontended(|| async {
        let found = path.limit(&api).await?;
        api.store.delete_concurrency_limit(found.record, found.version).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
