//! `DELETE /variables/{id}`: deletes a variable.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    Api, Result,
    http::{Path, Route, extract::Id},
    model::VariableId,
    store::commit::until_uncontended,
};

use crate::found;

/// The contract's `delete_variable`.
pub static ROUTE: Route = Route::delete("delete_variable", "/variables/{id}", || on_delete(delete));

async fn delete(State(api): State<Api>, Path(path): Path<Id<VariableId>>) -> Result<StatusCode> {
    until_uncontended(|| async { api.store.delete_variable(found::by_id(&api, path.id).await?).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
