//! `DELETE /operations/{id}`: stops an operation on many flow runs; what is done stays done.

use axum::{extract::State, http::StatusCode, routing::delete};
use common::{
    Api, Result,
    http::{Path, Route, extract::Id},
    model::BulkOperationId,
};

/// Our own `stop_bulk_operation`.
pub static ROUTE: Route = Route::delete("stop_bulk_operation", "/operations/{id}", || delete(stop));

async fn stop(State(api): State<Api>, Path(path): Path<Id<BulkOperationId>>) -> Result<StatusCode> {
    api.store.stop_bulk_operation(path.id, api.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
