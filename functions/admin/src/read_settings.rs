//! `GET /admin/settings`: the settings in effect, with secrets masked.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Route},
    store::TableAccess,
};
use serde_json::Value;

/// The contract's `read_settings`.
pub static ROUTE: Route =
    Route::get("read_settings", "/admin/settings", || get(read_settings)).accessing(TableAccess::NOTHING);

async fn read_settings(State(app): State<App>) -> Result<Json<Value>> {
    app.settings.tree().map(Json)
}
