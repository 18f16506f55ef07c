//! `PATCH /artifacts/{id}`: changes an artifact's data, description and metadata.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    Api, Error, Result,
    http::{
        Path, Route, Sent,
        extract::{Id, sent},
    },
    model::ArtifactId,
    store::commit::until_uncontended,
};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

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
    metadata_: Option<Option<IndexMap<String, String>>>,
}

async fn update(
    State(api): State<Api>,
    Path(path): Path<Id<ArtifactId>>,
    Sent(body): Sent<ArtifactUpdate>,
) -> Result<StatusCode> {
    until_uncontended(|| async {
        let found = api.store.artifact(path.id).await?.ok_or_else(|| Error::not_found("Artifact"))?;
        let mut artifact = found.record;
        set(&mut artifact.data, body.data.as_ref());
        set(&mut artifact.description, body.description.as_ref());
        set(&mut artifact.metadata, body.metadata_.as_ref());
        artifact.updated = api.now();
        api.store.update_artifact(&artifact, found.version).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn set<T: Clone>(field: &mut Option<T>, sent: Option<&Option<T>>) {
    if let Some(value) = sent {
        field.clone_from(value);
    }
}
