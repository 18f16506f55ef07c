//! `POST /artifacts/latest/count`: counts the latest artifacts that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    store::artifact_query::{self, ArtifactFilters},
};

/// The contract's `count_latest_artifacts`.
pub static ROUTE: Route = Route::post("count_latest_artifacts", "/artifacts/latest/count", || post(count))
    .accessing(artifact_query::COUNT_LATEST);

async fn count(State(app): State<App>, Body(filters): Body<ArtifactFilters>) -> Result<Json<u64>> {
    Ok(Json(app.store.count_latest_artifacts(&filters).await?))
}
