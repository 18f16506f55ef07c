//! `GET /block_types/slug/{slug}`: reads a block type by its slug.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Path, Route},
    model::BlockType,
    store::block_types::with_slug,
};

use crate::Slug;

/// The contract's `read_block_type_by_slug`.
pub static ROUTE: Route = Route::get("read_block_type_by_slug", "/block_types/slug/{slug}", || get(read_by_slug));

async fn read_by_slug(State(app): State<App>, Path(path): Path<Slug>) -> Result<Json<BlockType>> {
    Ok(Json(app.store.read_one::<BlockType>(with_slug(&path.slug)).await?.record))
}
