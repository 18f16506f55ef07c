//! `GET /ready`: says whether the store answers.

use axum::{extract::State, http::StatusCode, routing::get};
use common::{
    App,
    http::{Json, Route},
    store::TableAccess,
};
use serde_json::{Value, json};

/// The contract's `perform_readiness_check`.
pub static ROUTE: Route =
    Route::get("perform_readiness_check", "/ready", || get(readiness_check)).accessing(TableAccess::DESCRIBES);

async fn readiness_check(State(app): State<App>) -> (StatusCode, Json<Value>) {
    match app.store.is_ready().await {
        Ok(true) => (StatusCode::OK, Json(json!({ "message": "OK" }))),
        not_ready => {
            tracing::warn!(?not_ready, "the store is not ready");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "message": "Database is not available" })))
        }
    }
}
