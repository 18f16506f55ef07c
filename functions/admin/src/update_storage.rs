//! `PUT /admin/storage`: has a block store results by default.

use axum::{extract::State, routing::put};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::{BlockDocumentId, ResultStorage},
    result_storage,
};
use serde::Deserialize;

/// The contract's `update_server_default_result_storage`.
pub static ROUTE: Route = Route::put("update_server_default_result_storage", "/admin/storage", || put(update));

#[derive(Debug, Deserialize)]
struct ResultStorageUpdate {
    default_result_storage_block_id: BlockDocumentId,
}

async fn update(State(app): State<App>, Body(body): Body<ResultStorageUpdate>) -> Result<Json<ResultStorage>> {
    Ok(Json(result_storage::set(&app, body.default_result_storage_block_id).await?))
}
