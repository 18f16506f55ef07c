//! `POST /block_types/`: makes a block type.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Json, Route},
    model::{BlockType, BlockTypeId, block_type::escaped},
};
use serde::Deserialize;

/// The contract's `create_block_type`.
pub static ROUTE: Route = Route::post("create_block_type", "/block_types/", || post(create));

#[derive(Debug, Deserialize)]
struct BlockTypeCreate {
    name: String,
    slug: String,
    logo_url: Option<String>,
    documentation_url: Option<String>,
    description: Option<String>,
    code_example: Option<String>,
}

async fn create(State(app): State<App>, Body(body): Body<BlockTypeCreate>) -> Result<(StatusCode, Json<BlockType>)> {
    let BlockTypeCreate { name, slug, logo_url, documentation_url, description, code_example } = body;
    if name.to_lowercase().starts_with("prefect") {
        return Err(Error::Forbidden("Block type names beginning with 'Prefect' are reserved.".into()));
    }
    let now = app.now();
    let block_type = BlockType {
        id: BlockTypeId::new(),
        created: now,
        updated: now,
        name,
        slug,
        logo_url,
        documentation_url,
        description: description.as_deref().map(escaped),
        code_example: code_example.as_deref().map(escaped),
        is_protected: false,
    };
    app.store.add(&block_type).await.map_err(|error| match error {
        Error::Conflict(_) => Error::Conflict(format!("Block type with name \"{}\" already exists", block_type.name)),
        other => other,
    })?;
    Ok((StatusCode::CREATED, Json(block_type)))
}
