//! `POST /block_types/install_system_block_types`: installs the block types that Prefect ships.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    blocks::installation,
    http::{Json, Route},
};

/// The contract's `install_system_block_types`.
pub static ROUTE: Route =
    Route::post("install_system_block_types", "/block_types/install_system_block_types", || post(install));

async fn install(State(app): State<App>) -> Result<Json<()>> {
    let shipped = installation::read(app.settings.assets.as_deref())?;
    let shipped = shipped.ok_or_else(installation::nothing_to_install)?;
    installation::install(&app, &shipped).await?;
    Ok(Json(()))
}
