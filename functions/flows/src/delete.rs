//! `DELETE /flows/{id}`: deletes a flow and, in its wake, its runs.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    model::FlowId,
};

/// The contract's `delete_flow`.
pub static ROUTE: Route = Route::delete("delete_flow", "/flows/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<FlowId>>) -> Result<StatusCode> {
    if app.store.delete_flow(path.id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Error::not_found("Flow")) }
}
