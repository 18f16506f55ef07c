//! `POST /artifacts/filter`: reads the artifacts that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::ArtifactSort,
    http::{Body, Json, Route},
    model::Artifact,
    store::{
        artifact_query::{self, ArtifactFilters},
        select::Window,
    },
};
use serde::Deserialize;

/// The contract's `read_artifacts`.
pub static ROUTE: Route =
    Route::post("read_artifacts", "/artifacts/filter", || post(filter)).accessing(artifact_query::FILTER);

#[derive(Debug, Deserialize)]
struct ArtifactQuery {
    #[serde(flatten)]
    filters: ArtifactFilters,
    sort: ArtifactSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<ArtifactQuery>) -> Result<Json<Vec<Artifact>>> {
    let found = app.store.artifacts(&query.filters, query.sort, query.window).await?;
    Ok(Json(found.into_iter().map(Artifact::answer).collect()))
}
