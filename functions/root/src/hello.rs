//! `GET /hello`: waves.

use axum::routing::get;
use common::{
    http::{Json, Route},
    store::TableAccess,
};

/// The contract's `hello`.
pub static ROUTE: Route = Route::get("hello", "/hello", || get(hello)).accessing(TableAccess::NOTHING);

async fn hello() -> Json<&'static str> {
    Json("👋")
}
