//! `GET /block_schemas/checksum/{checksum}`: reads the newest block schema of a checksum, or a version of it.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Path, Query, Route},
    model::BlockSchemaResponse,
};
use serde::Deserialize;

use crate::answered;

/// The contract's `read_block_schema_by_checksum`.
pub static ROUTE: Route =
    Route::get("read_block_schema_by_checksum", "/block_schemas/checksum/{checksum}", || get(read_by_checksum));

#[derive(Debug, Deserialize)]
struct Checksum {
    checksum: String,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: Option<String>,
}

async fn read_by_checksum(
    State(app): State<App>,
    Path(path): Path<Checksum>,
    Query(query): Query<Version>,
) -> Result<Json<BlockSchemaResponse>> {
    let found = app.store.block_schema_of(&path.checksum, query.version.as_deref()).await?;
    Ok(Json(answered(&app, found).await?))
}
