//! HTTP basic authentication, where the server has an auth string.

use axum::{
    extract::{Request, State},
    http::{Method, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq;

use super::PREFIX;
use crate::{error::Error, settings::Secret};

/// What load balancers ask without knowing the password.
const PROBES: [&str; 2] = ["/health", "/ready"];

/// Refuses what is asked of the API without the right credentials.
pub(super) async fn authenticate(State(secret): State<Secret>, request: Request, next: Next) -> Response {
    let path = request.uri().path().strip_prefix(PREFIX).filter(|path| path.starts_with('/'));
    let Some(path) = path else { return next.run(request).await };
    let exempt = request.method() == Method::GET && PROBES.contains(&path);
    let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    if exempt || header.and_then(credentials).is_some_and(|given| given.ct_eq(secret.0.as_bytes()).into()) {
        return next.run(request).await;
    }
    Error::Unauthorized("Unauthorized".into()).into_response()
}

/// Decodes a `Basic` header; like Python's decoder, passes over what is no digit of the encoding.
fn credentials(header: &str) -> Option<Vec<u8>> {
    let mut words = header.split_whitespace();
    let (Some("Basic"), Some(encoded), None) = (words.next(), words.next(), words.next()) else { return None };
    let is_digit = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '=');
    STANDARD.decode(encoded.chars().filter(is_digit).collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_basic_credentials_only() {
        assert_eq!(credentials("Basic YWRtaW46cGFzcw==").as_deref(), Some(b"admin:pass".as_slice()));
        for wrong in ["basic YWRtaW46cGFzcw==", "Basic", "Bearer x", "Basic YWRtaW46cGFzcw== more", "Basic YWR"] {
            assert_eq!(credentials(wrong), None, "{wrong}");
        }
    }
}
