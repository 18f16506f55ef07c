//! The saved searches resource: one verb, one file.

pub mod create;
pub mod delete;
pub mod filter;
pub mod read;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&create::ROUTE, &read::ROUTE, &delete::ROUTE, &filter::ROUTE];
