//! `POST /block_types/install_system_block_types`: installs the block types that Prefect ships.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    blocks::installation,
    http::{Json, Route, extract::ShippedData},
};

/// The contract's `install_system_block_types`.
pub static ROUTE: Route =
    Route::post("install_system_block_types", "/block_types/install_system_block_types", || post(install))
        .reading_assets();

async fn install(State(app): State<App>, ShippedData(assets): ShippedData) -> Result<Json<()>> {
    installation::install(&app, &assets.block_types().await?).await?;
    Ok(Json(()))
}
