//! `GET /block_documents/{id}`: reads a block document.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    blocks::answers::{self, Show},
    http::{Json, Path, Query, Route, extract::Id},
    model::{BlockDocumentId, BlockDocumentResponse},
    store::TableAccess,
};
use serde::Deserialize;

/// The contract's `read_block_document_by_id`.
pub static ROUTE: Route = Route::get("read_block_document_by_id", "/block_documents/{id}", || get(read))
    .accessing(TableAccess::READS.opening_secrets());

#[derive(Debug, Deserialize)]
struct Secrets {
    include_secrets: bool,
}

async fn read(
    State(app): State<App>,
    Path(path): Path<Id<BlockDocumentId>>,
    Query(query): Query<Secrets>,
) -> Result<Json<BlockDocumentResponse>> {
    Ok(Json(answers::one(&app, path.id, Show::secrets_if(query.include_secrets)).await?))
}
