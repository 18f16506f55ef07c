//! Validation against the contract, before a handler sees the request.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, RawPathParams, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};

use contract::{self, Operation, ParameterCheck};
use error::Error;

/// Validates the request as `operation` of the contract, and hands what is valid to the handler.
///
/// A page has `page_limit` entries by default and at most, and parameters have to pass `check`.
pub(super) async fn validate(
    State((operation, page_limit, check)): State<(&'static Operation, u32, Option<ParameterCheck>)>,
    parameters: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = match Bytes::from_request(Request::from_parts(parts.clone(), body), &()).await {
        Ok(body) => body,
        Err(refused) if refused.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return Error::TooLarge("The request is larger than 6 MB".into()).into_response();
        }
        Err(refused) => return Error::BadRequest(refused.body_text()).into_response(),
    };
    let path: Vec<(&str, &str)> = parameters.iter().collect();
    let incoming = contract::Request {
        path: &path,
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
    };
    match operation.validate_with(&incoming, page_limit, check) {
        Ok(validated) => {
            parts.extensions.insert(Arc::new(validated));
            next.run(Request::from_parts(parts, axum::body::Body::from(body))).await
        }
        Err(rejection) => {
            let (status, answer) = rejection.into_answer();
            (StatusCode::from_u16(status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY), Json(answer)).into_response()
        }
    }
}
