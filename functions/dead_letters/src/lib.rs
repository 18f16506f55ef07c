//! The dead letters resource, which is our own: work that failed for good, for the administrator to decide on.

pub mod delete;
pub mod read_all;
pub mod redrive;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&read_all::ROUTE, &redrive::ROUTE, &delete::ROUTE];
