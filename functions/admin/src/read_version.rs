//! `GET /admin/version`: says which release of Prefect this server stands in for.

use axum::routing::get;
use common::{
    contract::RELEASE,
    http::{Json, Route},
    store::TableAccess,
};

/// The contract's `read_version`.
pub static ROUTE: Route =
    Route::get("read_version", "/admin/version", || get(read_version)).accessing(TableAccess::NOTHING);

async fn read_version() -> Json<&'static str> {
    Json(RELEASE)
}
