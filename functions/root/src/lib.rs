//! What belongs to no resource: one operation, one file.

pub mod create_csrf_token;
pub mod health_check;
pub mod hello;
pub mod readiness_check;
pub mod version;

use common::http::Route;

/// The routes of this crate.
pub static ROUTES: &[&Route] =
    &[&health_check::ROUTE, &version::ROUTE, &create_csrf_token::ROUTE, &hello::ROUTE, &readiness_check::ROUTE];
