//! `POST /artifacts/count`: counts the artifacts that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    http::{Body, Route},
    store::{Needs, artifact_query::ArtifactFilters},
};

/// The contract's `count_artifacts`.
pub static ROUTE: Route = Route::post("count_artifacts", "/artifacts/count", || post(count)).needing(Needs::FILTERS);

async fn count(State(api): State<Api>, Body(filters): Body<ArtifactFilters>) -> Result<Json<u64>> {
    Ok(Json(api.store.count_artifacts(&filters).await?))
}
