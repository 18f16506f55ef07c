//! `POST /block_schemas/`: registers a block schema, or finds the one of the same fields and version.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    blocks::schemas::{self, NewBlockSchema},
    http::{Body, Json, Route},
    model::{BlockSchemaResponse, BlockType, BlockTypeId, Object},
    store::Added,
};
use serde::Deserialize;

/// The contract's `create_block_schema`.
pub static ROUTE: Route = Route::post("create_block_schema", "/block_schemas/", || post(create));

#[derive(Debug, Deserialize)]
struct BlockSchemaCreate {
    fields: Object,
    block_type_id: BlockTypeId,
    capabilities: Vec<String>,
    version: String,
}

async fn create(
    State(app): State<App>,
    Body(body): Body<BlockSchemaCreate>,
) -> Result<(StatusCode, Json<BlockSchemaResponse>)> {
    let BlockSchemaCreate { fields, block_type_id, capabilities, version } = body;
    let Some(block_type) = app.store.find::<BlockType>(block_type_id).await? else {
        return Err(Error::not_found_in_words(format!("Block type {block_type_id} not found.")));
    };
    let new = NewBlockSchema { fields, block_type: block_type.record, capabilities, version };
    let (schema, added) = schemas::register(&app, &new).await?;
    let status = match added {
        Added::Created => StatusCode::CREATED,
        Added::Existed => StatusCode::OK,
    };
    Ok((status, Json(schema)))
}
