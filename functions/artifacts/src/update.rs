//! `PATCH /artifacts/{id}`: changes an artifact's data, description and metadata; a result's data is its state's as well.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, InWords, Result,
    http::{Path, Route, Sent, extract::Id},
    model::{Artifact, ArtifactId, Timestamp, artifact::Metadata},
    patch::Patch,
};
use serde::Deserialize;
use serde_json::Value;

use crate::NOT_FOUND;

/// The contract's `update_artifact`.
pub static ROUTE: Route = Route::patch("update_artifact", "/artifacts/{id}", || patch(update));

/// What the client sent; a null empties the field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ArtifactUpdate {
    data: Patch<Value>,
    description: Patch<String>,
    metadata_: Patch<Metadata>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<ArtifactId>>,
    Sent(body): Sent<ArtifactUpdate>,
) -> Result<StatusCode> {
    app.store.update_artifact(path.id, |artifact| body.apply(artifact, app.now())).await.in_words(NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}

impl ArtifactUpdate {
    /// Changes `artifact` at `now`.
    fn apply(&self, artifact: &mut Artifact, now: Timestamp) {
        self.data.set_or_clear(&mut artifact.data);
        self.description.set_or_clear(&mut artifact.description);
        self.metadata_.set_or_clear(&mut artifact.metadata);
        if self.metadata_.is_sent() {
            artifact.metadata = artifact.metadata.take().map(Metadata::shortened);
        }
        artifact.updated = now;
    }
}
