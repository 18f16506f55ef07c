//! `POST /block_documents/filter`: reads the block documents that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    blocks::answers::{self, Show},
    filter::BlockDocumentSort,
    http::{Body, Json, Route},
    model::BlockDocumentResponse,
    store::{block_documents, select::Window},
};
use serde::Deserialize;

use crate::WhichDocuments;

/// The contract's `read_block_documents`.
pub static ROUTE: Route = Route::post("read_block_documents", "/block_documents/filter", || post(filter))
    .accessing(block_documents::FILTER.opening_secrets());

#[derive(Debug, Deserialize)]
struct BlockDocumentQuery {
    #[serde(flatten)]
    which: WhichDocuments,
    include_secrets: bool,
    sort: Option<BlockDocumentSort>,
    #[serde(flatten)]
    window: Window,
}

async fn filter(
    State(app): State<App>,
    Body(query): Body<BlockDocumentQuery>,
) -> Result<Json<Vec<BlockDocumentResponse>>> {
    let BlockDocumentQuery { which, include_secrets, sort, window } = query;
    let found = app.store.block_documents(&which.into(), sort.unwrap_or_default(), window).await?;
    Ok(Json(answers::answered(&app, found, Show::secrets_if(include_secrets)).await?))
}
