//! The answer to an operation on many records that outlives its request.

use crate::Json;
use axum::{
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use services::{App, jobs::progress::Progress};

/// Answers that an operation has begun, and where to ask how far it has got (RFC 7240, `Prefer: respond-async`).
pub fn accepted(app: &App, progress: Progress) -> Response {
    let place = format!("{}/operations/{}", app.settings.base_path, progress.id());
    (StatusCode::ACCEPTED, [(LOCATION, place)], Json(progress)).into_response()
}
