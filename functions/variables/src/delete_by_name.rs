//! `DELETE /variables/name/{name}`: deletes the variable of a name.

use axum::{extract::State, http::StatusCode, routing::delete};
use common::{
    App, Result,
    http::{Path, Route},
    store::commit::retry_on_conflict,
};

use crate::found::{self, Name};

/// The contract's `delete_variable_by_name`.
pub static ROUTE: Route = Route::delete("delete_variable_by_name", "/variables/name/{name}", || delete(delete_by_name));

async fn delete_by_name(State(app): State<App>, Path(path): Path<Name>) -> Result<StatusCode> {
    retry_on_conflict(|| async { app.store.delete_variable(found::by_name(&app, &path.name).await?).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
