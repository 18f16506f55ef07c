//! `DELETE /artifacts/{id}`: deletes an artifact; the one created before it becomes the latest of its key, and a state whose
//! result it was has none.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    model::ArtifactId,
};

use crate::not_found;

/// The contract's `delete_artifact`.
pub static ROUTE: Route = Route::delete("delete_artifact", "/artifacts/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<ArtifactId>>) -> Result<StatusCode> {
    if app.store.delete_artifact(path.id, app.now()).await? { Ok(StatusCode::NO_CONTENT) } else { Err(not_found()) }
}
