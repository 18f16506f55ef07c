//! `DELETE /variables/name/{name}`: deletes the variable of a name.

use axum::{extract::State, http::StatusCode, routing::delete};
use common::{
    App, InWords, Result,
    http::{Path, Route},
    model::Variable,
    store::variables::called,
};

use crate::{NOT_FOUND, Name};

/// The contract's `delete_variable_by_name`.
pub static ROUTE: Route = Route::delete("delete_variable_by_name", "/variables/name/{name}", || delete(delete_by_name));

async fn delete_by_name(State(app): State<App>, Path(path): Path<Name>) -> Result<StatusCode> {
    app.store.delete::<Variable>(called(&path.name)).await.in_words(NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}
