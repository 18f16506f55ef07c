//! `GET /health`: says that the server answers.

use axum::routing::get;
use common::{
    http::{Json, Route},
    store::TableAccess,
};

/// The contract's `health_check`.
pub static ROUTE: Route = Route::get("health_check", "/health", || get(health_check)).accessing(TableAccess::NOTHING);

async fn health_check() -> Json<bool> {
    Json(true)
}
