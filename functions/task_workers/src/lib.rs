//! The task workers resource: one verb, one file.

pub mod filter;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&filter::ROUTE];
