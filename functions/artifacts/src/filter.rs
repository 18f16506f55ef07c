//! `POST /artifacts/filter`: reads the artifacts that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::ArtifactSort,
    http::{Body, Route},
    model::Artifact,
    store::{Needs, artifact_query::ArtifactFilters, select::Window},
};
use serde::Deserialize;

/// The contract's `read_artifacts`.
pub static ROUTE: Route = Route::post("read_artifacts", "/artifacts/filter", || post(filter)).needing(Needs::FILTERS);

#[derive(Debug, Deserialize)]
struct ArtifactQuery {
    #[serde(flatten)]
    filters: ArtifactFilters,
    sort: ArtifactSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(api): State<Api>, Body(query): Body<ArtifactQuery>) -> Result<Json<Vec<Artifact>>> {
    let found = api.store.artifacts(&query.filters, query.sort, query.window).await?;
    Ok(Json(found.into_iter().map(Artifact::answer).collect()))
}
