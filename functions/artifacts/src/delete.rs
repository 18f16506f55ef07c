//! `DELETE /artifacts/{id}`: deletes an artifact; the one created before it becomes the latest of its key, and a state whose
//! result it was has none.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    model::ArtifactId,
};

use crate::NOT_FOUND;

/// The contract's `delete_artifact`.
pub static ROUTE: Route = Route::delete("delete_artifact", "/artifacts/{id}", || on_delete(delete));

async fn delete(State(app): State<App>, Path(path): Path<Id<ArtifactId>>) -> Result<StatusCode> {
    if !app.store.delete_artifact(path.id, app.now()).await? {
        return Err(Error::not_found_in_words(NOT_FOUND));
    }
    Ok(StatusCode::NO_CONTENT)
}
