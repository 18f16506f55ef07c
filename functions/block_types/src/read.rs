//! `GET /block_types/{id}`: reads a block type.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Path, Route, extract::Id},
    model::{BlockType, BlockTypeId},
};

/// The contract's `read_block_type_by_id`.
pub static ROUTE: Route = Route::get("read_block_type_by_id", "/block_types/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<BlockTypeId>>) -> Result<Json<BlockType>> {
    Ok(Json(app.store.read_one::<BlockType>(path.id).await?.record))
}
