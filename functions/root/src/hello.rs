//! `GET /hello`: waves.

use axum::{Json, routing::get};
use common::{http::Route, store::TableAccess};

/// The contract's `hello`.
pub static ROUTE: Route = Route::get("hello", "/hello", || get(hello)).accessing(TableAccess::NOTHING);

async fn hello() -> Json<&'static str> {
    Json("👋")
}
