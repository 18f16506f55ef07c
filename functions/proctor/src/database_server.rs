//! The database itself over HTTP, as DynamoDB's endpoint, for functions that run as processes of their own.
//!
//! It is served as the API is ([`crate::server`]), within the same limits.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use common::{
    http::limits::{self, Limits},
    settings::ServerLimits,
};
use embedded::EmbeddedDatabase;

/// The largest request that DynamoDB takes, in bytes.
const LARGEST_REQUEST: usize = 16 * 1024 * 1024;

struct Served {
    database: EmbeddedDatabase,
    limits: Limits,
}

/// Makes the service of the database within `limits`.
pub fn routes(database: EmbeddedDatabase, limits: &ServerLimits) -> Router {
    let served = Served { database, limits: Limits::new(limits) };
    Router::new().route("/", post(answer)).with_state(Arc::new(served))
}

async fn answer(State(served): State<Arc<Served>>, headers: HeaderMap, body: Body) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (body, _held) = match limits::collect(body, LARGEST_REQUEST, Some(&served.limits)).await {
        Ok(collected) => collected,
        Err(error) => return error.into_response(),
    };
    let (status, answer) = served.database.answer(target, &body).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, "application/x-amz-json-1.0")], answer).into_response()
}
