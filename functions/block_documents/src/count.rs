//! `POST /block_documents/count`: counts the block documents that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    store::block_documents,
};

use crate::WhichDocuments;

/// The contract's `count_block_documents`.
pub static ROUTE: Route =
    Route::post("count_block_documents", "/block_documents/count", || post(count)).accessing(block_documents::COUNT);

async fn count(State(app): State<App>, Body(which): Body<WhichDocuments>) -> Result<Json<u64>> {
    Ok(Json(app.store.count_block_documents(&which.into()).await?))
}
