//! `GET /admin/settings`: the settings in effect, with secrets masked.

use axum::{Json, extract::State, routing::get};
use common::{Api, Result, http::Route, store::Needs};
use serde_json::Value;

/// The contract's `read_settings`.
pub static ROUTE: Route = Route::get("read_settings", "/admin/settings", || get(read_settings)).needing(Needs::NOTHING);

async fn read_settings(State(api): State<Api>) -> Result<Json<Value>> {
    api.settings.tree().map(Json)
}
