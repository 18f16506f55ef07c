//! `POST /automations/templates/validate`: the same as `/templates/validate`, at the path that older web interfaces ask.

use axum::{http::StatusCode, routing::post};
use common::{
    Result,
    http::{Body, Route},
    store::TableAccess,
};

use crate::check;

/// The contract's `validate_template` at its other path.
pub static ROUTE: Route =
    Route::post("validate_template_of_automation", "/automations/templates/validate", || post(validate))
        .accessing(TableAccess::NOTHING);

async fn validate(Body(template): Body<String>) -> Result<StatusCode> {
    check(&template)
}
