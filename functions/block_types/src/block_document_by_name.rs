//! `GET /block_types/slug/{slug}/block_documents/name/{block_document_name}`: reads a block document by type and name.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    blocks::answers::{self, Show},
    http::{Json, Path, Query, Route},
    model::BlockDocumentResponse,
};
use serde::Deserialize;

use crate::Secrets;

/// The contract's `read_block_document_by_name_for_block_type`.
pub static ROUTE: Route = Route::get(
    "read_block_document_by_name_for_block_type",
    "/block_types/slug/{slug}/block_documents/name/{block_document_name}",
    || get(read),
)
.accessing(answers::NAMED);

#[derive(Debug, Deserialize)]
struct OfType {
    slug: String,
    block_document_name: String,
}

async fn read(
    State(app): State<App>,
    Path(path): Path<OfType>,
    Query(query): Query<Secrets>,
) -> Result<Json<BlockDocumentResponse>> {
    let show = Show::secrets_if(query.include_secrets);
    Ok(Json(answers::named(&app, &path.slug, &path.block_document_name, show).await?))
}
