//! `POST /v2/concurrency_limits/filter`: reads a page of all concurrency limits, by name.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use common::{
    App, Result,
    http::{Body, Json, Route},
    store::{concurrency_limits, select::Window},
};

/// The contract's `read_all_concurrency_limits_v2`.
pub static ROUTE: Route =
    Route::post("read_all_concurrency_limits_v2", "/v2/concurrency_limits/filter", || post(filter))
        .accessing(concurrency_limits::PAGE);

async fn filter(State(app): State<App>, Body(window): Body<Window>) -> Result<Response> {
    let limits = app.store.all_concurrency_limits(window).await?;
    let now = app.now();
    Ok(Json(limits.iter().map(|limit| limit.as_of(now)).collect::<Vec<_>>()).into_response())
}
