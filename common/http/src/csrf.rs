//! CSRF protection: a write carries the token that its client was given.

use crate::Json;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header::ACCESS_CONTROL_ALLOW_ORIGIN},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;
use subtle::ConstantTimeEq;

use error::Result;
use services::App;

const TOKEN: &str = "prefect-csrf-token";
const CLIENT: &str = "prefect-csrf-client";

/// Refuses a write whose token is not the one that its client was given last.
pub(super) async fn protect(State(app): State<App>, request: Request, next: Next) -> Response {
    let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(request.method());
    if !writes {
        return next.run(request).await;
    }
    // Prefect's server reads headers as Latin-1, and so do its comparisons.
    let headers = request.headers().clone();
    let header = |name: &str| {
        let value = headers.get(name)?;
        Some(value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>())
    };
    let Some(token) = header(TOKEN) else { return refusal("Missing CSRF token.") };
    let Some(client) = header(CLIENT) else { return refusal("Missing client identifier.") };
    match holds(&app, &client, &token).await {
        Ok(true) => next.run(request).await,
        Ok(false) => {
            let mut refusal = refusal("Invalid CSRF token or client identifier.");
            refusal.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            refusal
        }
        Err(error) => error.into_response(),
    }
}

async fn holds(app: &App, client: &str, token: &str) -> Result<bool> {
    let given = app.store.csrf_token(client, app.now()).await?;
    Ok(given.is_some_and(|given| given.token.as_bytes().ct_eq(token.as_bytes()).into()))
}

fn refusal(detail: &str) -> Response {
    (StatusCode::FORBIDDEN, Json(json!({ "detail": detail }))).into_response()
}
