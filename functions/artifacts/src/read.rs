//! `GET /artifacts/{id}`: reads an artifact.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route, extract::Id},
    model::{Artifact, ArtifactId},
};

use crate::NOT_FOUND;

/// The contract's `read_artifact`.
pub static ROUTE: Route = Route::get("read_artifact", "/artifacts/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<ArtifactId>>) -> Result<Json<Artifact>> {
    let found = app.store.artifact(path.id).await?.ok_or_else(|| Error::not_found_in_words(NOT_FOUND))?;
    Ok(Json(found.record.answer()))
}
