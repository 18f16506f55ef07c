//! `DELETE /admin/storage`: has no block store results by default.

use axum::{extract::State, http::StatusCode, routing::delete};
use common::{App, Result, http::Route};

/// The contract's `clear_server_default_result_storage`.
pub static ROUTE: Route = Route::delete("clear_server_default_result_storage", "/admin/storage", || delete(clear));

async fn clear(State(app): State<App>) -> Result<StatusCode> {
    app.store.clear_result_storage().await?;
    Ok(StatusCode::NO_CONTENT)
}
