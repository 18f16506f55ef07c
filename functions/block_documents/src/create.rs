//! `POST /block_documents/`: makes a block document.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    blocks::documents::{self, NewBlockDocument},
    http::{Body, Json, Route},
    model::{BlockDocumentResponse, BlockSchemaId, BlockTypeId, Object},
    store::TableAccess,
};
use serde::Deserialize;

/// The contract's `create_block_document`.
pub static ROUTE: Route = Route::post("create_block_document", "/block_documents/", || post(create))
    .accessing(TableAccess::WRITES.sealing_secrets());

#[derive(Deserialize)]
struct BlockDocumentCreate {
    name: Option<String>,
    data: Object,
    block_schema_id: BlockSchemaId,
    block_type_id: BlockTypeId,
    is_anonymous: bool,
}

async fn create(
    State(app): State<App>,
    Body(body): Body<BlockDocumentCreate>,
) -> Result<(StatusCode, Json<BlockDocumentResponse>)> {
    let BlockDocumentCreate { name, data, block_schema_id, block_type_id, is_anonymous } = body;
    let new = NewBlockDocument { name, data, block_schema_id, block_type_id, is_anonymous };
    Ok((StatusCode::CREATED, Json(documents::create(&app, new).await?)))
}
