//! What functions ask of connections, as they ask API Gateway (AWS: "Use `@connections` commands in your backend
//! service").
//!
//! Nothing is read of a request before it has shown the secret.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use common::{
    connections::LARGEST_RELAYED_MESSAGE,
    error::Error,
    http::{Json, limits::collect},
    runtime::gateway::RELAY_HEADER,
};
use serde_json::json;

use crate::{
    Relay,
    outbox::{End, Refusal},
};

/// The header that names an error to the SDK.
const ERROR: &str = "x-amzn-errortype";

/// Lets a request through that has shown the secret.
pub(crate) async fn guard(State(relay): State<Arc<Relay>>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(RELAY_HEADER).map(|value| value.as_bytes().to_owned()).unwrap_or_default();
    match relay.secret.is(&shown).await {
        Ok(true) => next.run(request).await,
        Ok(false) => failure(StatusCode::FORBIDDEN, "ForbiddenException"),
        Err(error) => {
            tracing::warn!(%error, "a function's call can't be checked");
            failure(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException")
        }
    }
}

/// Sends a client a message.
pub(crate) async fn post(State(relay): State<Arc<Relay>>, Path(id): Path<String>, body: Body) -> Response {
    let (bytes, held) = match collect(body, LARGEST_RELAYED_MESSAGE, Some(&relay.limits)).await {
        Ok(collected) => collected,
        Err(Error::TooLarge(_)) => return failure(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException"),
        Err(Error::Busy(_)) => return failure(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException"),
        Err(_) => return failure(StatusCode::BAD_REQUEST, "BadRequestException"),
    };
    let Ok(text) = Utf8Bytes::try_from(bytes) else {
        return failure(StatusCode::BAD_REQUEST, "BadRequestException");
    };
    let Some(outbox) = relay.outboxes.get(&id) else { return gone() };
    let posted = outbox.post(text);
    drop(held);
    match posted {
        Ok(()) => StatusCode::OK.into_response(),
        Err(Refusal::Full) => failure(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException"),
        Err(Refusal::Over) => gone(),
        Err(Refusal::Behind) => {
            tracing::warn!(id, "a client is cut, because it reads too slowly");
            relay.outboxes.close(&id);
            gone()
        }
    }
}

/// Tells of a connection.
pub(crate) async fn get(State(relay): State<Arc<Relay>>, Path(id): Path<String>) -> Response {
    let Some(outbox) = relay.outboxes.get(&id) else { return gone() };
    let request = &outbox.request;
    Json(json!({
        "connectedAt": request.at.to_rfc3339(),
        "identity": { "sourceIp": request.source(), "userAgent": request.agent() }
    }))
    .into_response()
}

/// Cuts a connection, once the client has all that was sent before.
pub(crate) async fn delete(State(relay): State<Arc<Relay>>, Path(id): Path<String>) -> Response {
    match relay.outboxes.close(&id) {
        Some(outbox) => {
            outbox.end(End::CUT);
            StatusCode::NO_CONTENT.into_response()
        }
        None => gone(),
    }
}

fn gone() -> Response {
    failure(StatusCode::GONE, "GoneException")
}

fn failure(status: StatusCode, kind: &'static str) -> Response {
    (status, [(ERROR, kind)], Json(json!({ "message": kind }))).into_response()
}
