//! `GET /block_schemas/{id}`: reads a block schema.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Path, Route, extract::Id},
    model::{BlockSchema, BlockSchemaId, BlockSchemaResponse},
};

use crate::answered;

/// The contract's `read_block_schema_by_id`.
pub static ROUTE: Route = Route::get("read_block_schema_by_id", "/block_schemas/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<BlockSchemaId>>) -> Result<Json<BlockSchemaResponse>> {
    let found = app.store.read_one::<BlockSchema>(path.id).await?.record;
    Ok(Json(answered(&app, Some(found)).await?))
}
