//! `DELETE /variables/{id}`: deletes a variable.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    model::VariableId,
    store::commit::retry_on_conflict,
};

use crate::found;

/// The contract's `delete_variable`.
pub static ROUTE: Route = Route::delete("delete_variable", "/variables/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<VariableId>>) -> Result<StatusCode> {
    retry_on_conflict(|| async { app.store.delete_variable(found::by_id(&app, path.id).await?).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
