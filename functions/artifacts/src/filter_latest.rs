//! `POST /artifacts/latest/filter`: reads the latest artifacts that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::ArtifactSort,
    http::{Body, Json, Route},
    model::LatestArtifact,
    store::{
        artifact_query::{self, ArtifactFilters},
        select::Window,
    },
};
use serde::Deserialize;

/// The contract's `read_latest_artifacts`.
pub static ROUTE: Route = Route::post("read_latest_artifacts", "/artifacts/latest/filter", || post(filter))
    .accessing(artifact_query::FILTER_LATEST);

#[derive(Debug, Deserialize)]
struct ArtifactQuery {
    #[serde(flatten)]
    filters: ArtifactFilters,
    sort: ArtifactSort,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<ArtifactQuery>) -> Result<Json<Vec<LatestArtifact>>> {
    Ok(Json(app.store.latest_artifacts(&query.filters, query.sort, query.window).await?))
}
