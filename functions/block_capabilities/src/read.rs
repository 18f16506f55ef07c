//! `GET /block_capabilities/`: says what blocks of all types can do.

use std::collections::BTreeSet;

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Route},
    store::block_schemas,
};

/// The contract's `read_available_block_capabilities`.
pub static ROUTE: Route = Route::get("read_available_block_capabilities", "/block_capabilities/", || get(read))
    .accessing(block_schemas::CAPABILITIES);

async fn read(State(app): State<App>) -> Result<Json<BTreeSet<String>>> {
    Ok(Json(app.store.block_capabilities().await?))
}
