//! `GET /version`: says which API version is served.

use axum::routing::get;
use common::{
    contract::API_VERSION,
    http::{Json, Route},
    store::TableAccess,
};

/// The contract's `server_version`.
pub static ROUTE: Route = Route::get("server_version", "/version", || get(version)).accessing(TableAccess::NOTHING);

async fn version() -> Json<&'static str> {
    Json(API_VERSION)
}
