//! `GET /v2/concurrency_limits/{id_or_name}`: reads a concurrency limit.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use common::{
    App, InWords, Result,
    http::{Json, Path, Route},
    model::ConcurrencyLimit,
};

use crate::{NOT_FOUND, path::IdOrName};

/// The contract's `read_concurrency_limit_v2`.
pub static ROUTE: Route = Route::get("read_concurrency_limit_v2", "/v2/concurrency_limits/{id_or_name}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<IdOrName>) -> Result<Response> {
    let limit = app.store.read_one::<ConcurrencyLimit>(path.limit()).await.in_words(NOT_FOUND)?;
    Ok(Json(limit.record.as_of(app.now())).into_response())
}
