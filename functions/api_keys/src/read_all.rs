//! `GET /api_keys`: reads a page of the API keys, without their secrets, the newest first.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Route, extract::Query},
    store::{api_keys, select::Window},
};

use crate::response::ApiKeyResponse;

/// Our own `read_api_keys`.
pub static ROUTE: Route = Route::get("read_api_keys", "/api_keys", || get(read)).accessing(api_keys::PAGE);

async fn read(State(app): State<App>, Query(window): Query<Window>) -> Result<Json<Vec<ApiKeyResponse>>> {
    let (keys, now) = (app.store.page_of_api_keys(window).await?, app.now());
    Ok(Json(keys.into_iter().map(|key| ApiKeyResponse::new(key, now)).collect()))
}
