//! `POST /block_types/filter`: reads the block types that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    filter::{BlockSchemaFilter, BlockTypeFilter},
    http::{Body, Json, Route},
    model::BlockType,
    store::{block_types, select::Window},
};
use serde::Deserialize;

/// The contract's `read_block_types`.
pub static ROUTE: Route =
    Route::post("read_block_types", "/block_types/filter", || post(filter)).accessing(block_types::FILTER);

#[derive(Debug, Deserialize)]
struct BlockTypeQuery {
    block_types: Option<BlockTypeFilter>,
    block_schemas: Option<BlockSchemaFilter>,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<BlockTypeQuery>) -> Result<Json<Vec<BlockType>>> {
    let BlockTypeQuery { block_types, block_schemas, window } = query;
    Ok(Json(app.store.block_types(block_types.as_ref(), block_schemas.as_ref(), window).await?))
}
