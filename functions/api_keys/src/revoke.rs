//! `POST /api_keys/{id}/revoke`: revokes an API key, for good.
//!
//! Other processes may remember for some seconds that it was good ([`common::access::KeyCache`]).

use axum::{extract::State, routing::post};
use common::{
    App, InWords, Result,
    http::{Json, Path, Route, extract::Id},
    model::ApiKeyId,
    store::TableAccess,
};

use crate::response::ApiKeyResponse;

/// Our own `revoke_api_key`.
pub static ROUTE: Route =
    Route::post("revoke_api_key", "/api_keys/{id}/revoke", || post(revoke)).accessing(TableAccess::WRITES);

async fn revoke(State(app): State<App>, Path(path): Path<Id<ApiKeyId>>) -> Result<Json<ApiKeyResponse>> {
    let now = app.now();
    let revoked = app.store.revoke_api_key(path.id, now).await.in_words("There is no such API key")?;
    Ok(Json(ApiKeyResponse::new(revoked, now)))
}
