//! `GET /admin/storage`: says which block stores results by default.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Route},
    model::ResultStorage,
    result_storage,
};

/// The contract's `read_server_default_result_storage`.
pub static ROUTE: Route = Route::get("read_server_default_result_storage", "/admin/storage", || get(read));

async fn read(State(app): State<App>) -> Result<Json<ResultStorage>> {
    Ok(Json(result_storage::read(&app).await?))
}
