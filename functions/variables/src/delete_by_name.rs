//! `DELETE /variables/name/{name}`: deletes the variable of a name.

use axum::{extract::State, http::StatusCode, routing::delete};
use common::{
    Api, Result,
    http::{Path, Route},
    store::commit::until_uncontended,
};

use crate::found::{self, Name};

/// The contract's `delete_variable_by_name`.
pub static ROUTE: Route = Route::delete("delete_variable_by_name", "/variables/name/{name}", || delete(delete_by_name));

async fn delete_by_name(State(api): State<Api>, Path(path): Path<Name>) -> Result<StatusCode> {
    until_uncontended(|| async { api.store.delete_variable(found::by_name(&api, &path.name).await?).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
