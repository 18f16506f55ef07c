//! `POST /templates/validate`: says whether a text is a template.

use axum::{http::StatusCode, routing::post};
use common::{
    Result,
    http::{Body, Route},
    store::TableAccess,
};

use crate::check;

/// The contract's `validate_template`.
pub static ROUTE: Route =
    Route::post("validate_template", "/templates/validate", || post(validate)).accessing(TableAccess::NOTHING);

async fn validate(Body(template): Body<String>) -> Result<StatusCode> {
    check(&template)
}
