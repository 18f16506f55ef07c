//! `DELETE /operations/{id}`: stops an operation on many flow runs; what is done stays done.

use axum::{extract::State, http::StatusCode, routing::delete};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    model::BulkOperationId,
};

/// Our own `stop_bulk_operation`.
pub static ROUTE: Route = Route::delete("stop_bulk_operation", "/operations/{id}", || delete(stop));

async fn stop(State(app): State<App>, Path(path): Path<Id<BulkOperationId>>) -> Result<StatusCode> {
    app.store.stop_bulk_operation(path.id, app.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
