//! Validation against the contract, before a handler sees the request.

use std::sync::Arc;

use crate::Json;
use axum::{
    extract::{RawPathParams, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    LARGEST_BODY,
    limits::{self, Limits},
};
use contract::{self, Checks, Operation};
use domain::blocks::secrets::OBFUSCATED;
use serde_json::Value;

/// How many bytes a body has that is validated in less than a millisecond.
const SMALL: usize = 64 * 1024;

/// What the layer knows of the operation in front of which it lies.
#[derive(Clone, Copy)]
pub(super) struct Contracted {
    pub(super) operation: &'static Operation,
    /// How many entries a page has by default and at most.
    pub(super) page_limit: u32,
    /// What parameters and templates have to pass.
    pub(super) checks: Checks,
    /// Whether it reads what may be much, and so waits for its turn.
    pub(super) reads: bool,
    /// Whether the `data` of its body may be secret, and so is in no answer that says what is wrong with it.
    pub(super) hides_data: bool,
}

/// Hides the data of a block in what is said to be wrong with it, which clients write into their logs.
fn hide_data(answer: &mut Value) {
    if let Some(body) = answer.get_mut("request_body") {
        hide_in(body);
    }
    for fault in answer.get_mut("exception_detail").and_then(Value::as_array_mut).into_iter().flatten() {
        let field = fault.pointer("/loc/1").cloned();
        let Some(input) = fault.get_mut("input") else { continue };
        match field {
            Some(field) if field == "data" => *input = OBFUSCATED.into(),
            // Of a field that is missing, the whole body is told; of another one, what was sent for it.
            Some(_) if !input.is_object() => {}
            _ => hide_in(input),
        }
    }
}

/// Hides a body's data, or all of what is not even an object.
fn hide_in(body: &mut Value) {
    match body {
        Value::Object(fields) => {
            if let Some(data) = fields.get_mut("data") {
                *data = OBFUSCATED.into();
            }
        }
        Value::Null => {}
        other => *other = OBFUSCATED.into(),
    }
}

/// Validates the request against the contract, and hands what is valid to the handler.
pub(super) async fn validate(
    State(contracted): State<Contracted>,
    parameters: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let limits = parts.extensions.get::<Limits>().cloned();
    // The body is read first: whoever is slow to send one must not keep others from their turn.
    let (body, _held) = match limits::collect(body, LARGEST_BODY, limits.as_ref()).await {
        Ok(collected) => collected,
        Err(error) => return error.into_response(),
    };
    let _turn = match limits.as_ref().filter(|_| contracted.reads) {
        Some(limits) => limits.turn_to_read().await,
        None => None,
    };
    let path: Vec<(&str, &str)> = parameters.iter().collect();
    let incoming = contract::Request {
        path: &path,
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
    };
    let Contracted { operation, page_limit, checks, .. } = contracted;
    let validate = || operation.validate_with(&incoming, page_limit, checks);
    // A large body takes long, and so may parameters that are held against a schema, or templates, however small.
    let checks_programs = operation.checks_parameters() || operation.checks_templates();
    let is_long = body.len() > SMALL || checks_programs;
    let response = match if is_long { budget::evaluate(validate) } else { validate() } {
        Ok(validated) => {
            parts.extensions.insert(Arc::new(validated));
            next.run(Request::from_parts(parts, axum::body::Body::from(body))).await
        }
        Err(rejection) => {
            let (status, mut answer) = rejection.into_answer();
            if contracted.hides_data {
                hide_data(&mut answer);
            }
            (StatusCode::from_u16(status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY), Json(answer)).into_response()
        }
    };
    match &limits {
        Some(limits) => limits::count_answer(response, contracted.reads, limits).await,
        None => response,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_block_is_said_without_its_data() {
        let body = json!({"name": "A b", "data": {"x": "s3cret"}});
        let mut answer = json!({
            "exception_detail": [
                {"loc": ["body", "name"], "input": "A b"},
                {"loc": ["body", "data"], "input": "s3cret"},
                {"loc": ["body"], "input": body},
                {"loc": ["body", "block_type_id"], "input": body},
                {"loc": ["path", "id"], "input": "x"},
            ],
            "request_body": body,
        });
        hide_data(&mut answer);
        let hidden = json!({"name": "A b", "data": OBFUSCATED});
        let inputs: Vec<&Value> =
            answer["exception_detail"].as_array().unwrap().iter().map(|fault| &fault["input"]).collect();
        assert_eq!(inputs, [&json!("A b"), &json!(OBFUSCATED), &hidden, &hidden, &json!("x")]);
        assert_eq!(answer["request_body"], hidden);
        for sent in [json!(["s3cret"]), json!("s3cret"), json!(null)] {
            let mut answer = json!({"exception_detail": [{"loc": ["body"], "input": sent}], "request_body": sent});
            hide_data(&mut answer);
            assert!(!answer.to_string().contains("s3cret"), "{answer}");
        }
    }
}
