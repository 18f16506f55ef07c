//! The templates resource: whether a text is a template, for forms in which one is written.

pub mod validate;
pub mod validate_of_automation;

use axum::http::StatusCode;
use common::{
    Error, Result,
    http::Route,
    schema_tools::{Allowance, templates},
};
use serde_json::json;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&validate::ROUTE, &validate_of_automation::ROUTE];

/// Answers whether `template` is one; what is wrong with it is told in Jinja's words.
fn check(template: &str) -> Result<StatusCode> {
    templates::validate(template, &Allowance::default())?.map_err(|fault| {
        Error::Invalid(json!({ "error": { "line": fault.line, "message": fault.message, "source": template } }))
    })?;
    Ok(StatusCode::NO_CONTENT)
}
