//! `PATCH /block_documents/{id}`: changes the data of a block document, and its schema.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    blocks::documents::{self, DocumentChange},
    http::{Path, Route, Sent, extract::Id},
    model::{BlockDocumentId, BlockSchemaId, Object},
    store::TableAccess,
};
use serde::Deserialize;

/// The contract's `update_block_document_data`.
pub static ROUTE: Route = Route::patch("update_block_document_data", "/block_documents/{id}", || patch(update))
    .accessing(TableAccess::WRITES.sealing_secrets());

/// What the client sent (contract schema `BlockDocumentUpdate`).
#[derive(Deserialize)]
struct BlockDocumentUpdate {
    #[serde(default)]
    block_schema_id: Option<BlockSchemaId>,
    #[serde(default)]
    data: Option<Object>,
    #[serde(default = "yes")]
    merge_existing_data: bool,
}

fn yes() -> bool {
    true
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<BlockDocumentId>>,
    Sent(body): Sent<BlockDocumentUpdate>,
) -> Result<StatusCode> {
    let BlockDocumentUpdate { block_schema_id, data, merge_existing_data } = body;
    documents::update(&app, path.id, &DocumentChange { block_schema_id, data, merge_existing_data }).await?;
    Ok(StatusCode::NO_CONTENT)
}
