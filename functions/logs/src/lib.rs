//! The logs resource: one verb, one file.

pub mod create;
pub mod filter;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&create::ROUTE, &filter::ROUTE];
