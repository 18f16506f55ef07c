//! `POST /block_schemas/filter`: reads the block schemas that match, the newest first.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    blocks::schemas,
    filter::BlockSchemaFilter,
    http::{Body, Json, Route},
    model::BlockSchemaResponse,
    store::{block_schemas, select::Window},
};
use serde::Deserialize;

/// The contract's `read_block_schemas`.
pub static ROUTE: Route =
    Route::post("read_block_schemas", "/block_schemas/filter", || post(filter)).accessing(block_schemas::FILTER);

#[derive(Debug, Deserialize)]
struct BlockSchemaQuery {
    block_schemas: Option<BlockSchemaFilter>,
    #[serde(flatten)]
    window: Window,
}

async fn filter(State(app): State<App>, Body(query): Body<BlockSchemaQuery>) -> Result<Json<Vec<BlockSchemaResponse>>> {
    let found = app.store.block_schemas(query.block_schemas.as_ref(), query.window).await?;
    Ok(Json(schemas::answered(&app.store, found).await?))
}
