//! `DELETE /variables/{id}`: deletes a variable.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, InWords, Result,
    http::{Path, Route, extract::Id},
    model::{Variable, VariableId},
};

use crate::NOT_FOUND;

/// The contract's `delete_variable`.
pub static ROUTE: Route = Route::delete("delete_variable", "/variables/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<VariableId>>) -> Result<StatusCode> {
    app.store.delete::<Variable>(path.id).await.in_words(NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}
