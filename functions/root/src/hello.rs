//! `GET /hello`: waves.

use axum::{Json, routing::get};
use common::http::Route;

/// The contract's `hello`.
pub static ROUTE: Route = Route::get("hello", "/hello", || get(hello));

async fn hello() -> Json<&'static str> {
    Json("👋")
}
