//! The events resource: one verb, one file.

pub mod count_by;
pub mod create;
pub mod filter;
pub mod next_page;
pub mod page;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&create::ROUTE, &filter::ROUTE, &next_page::ROUTE, &count_by::ROUTE];
