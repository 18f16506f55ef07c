//! `GET /v2/concurrency_limits/{id_or_name}`: reads a concurrency limit.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use common::{
    App, Result,
    http::{Path, Route},
};

use crate::path::IdOrName;

/// The contract's `read_concurrency_limit_v2`.
pub static ROUTE: Route = Route::get("read_concurrency_limit_v2", "/v2/concurrency_limits/{id_or_name}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<IdOrName>) -> Result<Response> {
    let limit = path.limit(&app).await?.record;
    Ok(Json(limit.as_of(app.now())).into_response())
}
