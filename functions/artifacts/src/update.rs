//! `PATCH /artifacts/{id}`: changes an artifact's data, description and metadata; a result's data is its state's as well.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    http::{Path, Route, Sent, extract::Id},
    model::{ArtifactId, artifact::Metadata},
    patch::sent,
    store::commit::retry_on_conflict,
};
use serde::Deserialize;
use serde_json::Value;

use crate::not_found;

/// The contract's `update_artifact`.
pub static ROUTE: Route = Route::patch("update_artifact", "/artifacts/{id}", || patch(update));

/// What the client sent; a null empties the field.
#[derive(Debug, Deserialize)]
struct ArtifactUpdate {
    #[serde(default, deserialize_with = "sent")]
    data: Option<Option<Value>>,
    #[serde(default, deserialize_with = "sent")]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    metadata_: Option<Option<Metadata>>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<ArtifactId>>,
    Sent(body): Sent<ArtifactUpdate>,
) -> Result<StatusCode> {
    let metadata = body.metadata_.map(|sent| sent.map(Metadata::shortened));
    retry_on_conflict(|| async {
        let found = app.store.artifact(path.id).await?.ok_or_else(not_found)?;
        let mut artifact = found.record.clone();
        set(&mut artifact.data, body.data.as_ref());
        set(&mut artifact.description, body.description.as_ref());
        set(&mut artifact.metadata, metadata.as_ref());
        artifact.updated = app.now();
        app.store.update_artifact(&found, &artifact).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn set<T: Clone>(field: &mut Option<T>, sent: Option<&Option<T>>) {
    if let Some(value) = sent {
        field.clone_from(value);
    }
}
