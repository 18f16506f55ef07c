//! `POST /artifacts/latest/count`: counts the latest artifacts that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    http::{Body, Route},
    store::{Needs, artifact_query::ArtifactFilters},
};

/// The contract's `count_latest_artifacts`.
pub static ROUTE: Route =
    Route::post("count_latest_artifacts", "/artifacts/latest/count", || post(count)).needing(Needs::FILTERS);

async fn count(State(api): State<Api>, Body(filters): Body<ArtifactFilters>) -> Result<Json<u64>> {
    Ok(Json(api.store.count_latest_artifacts(&filters).await?))
}
