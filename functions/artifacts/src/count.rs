//! `POST /artifacts/count`: counts the artifacts that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    store::artifact_query::{self, ArtifactFilters},
};

/// The contract's `count_artifacts`.
pub static ROUTE: Route =
    Route::post("count_artifacts", "/artifacts/count", || post(count)).accessing(artifact_query::COUNT);

async fn count(State(app): State<App>, Body(filters): Body<ArtifactFilters>) -> Result<Json<u64>> {
    Ok(Json(app.store.count_artifacts(&filters).await?))
}
