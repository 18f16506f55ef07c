//! `POST /v2/concurrency_limits/filter`: reads a page of all concurrency limits, by name.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use common::{
    Api, Result,
    http::{Body, Route},
    store::{Needs, select::Window, table::Index},
};

/// The contract's `read_all_concurrency_limits_v2`.
pub static ROUTE: Route =
    Route::post("read_all_concurrency_limits_v2", "/v2/concurrency_limits/filter", || post(filter))
        .needing(Needs::READS.through(&[Index::ByName]));

async fn filter(State(api): State<Api>, Body(window): Body<Window>) -> Result<Response> {
    let limits = api.store.all_concurrency_limits(window).await?;
    let now = api.now();
    Ok(Json(limits.iter().map(|limit| limit.as_of(now)).collect::<Vec<_>>()).into_response())
}
