//! The task run states resource: one verb, one file.

pub mod list;
pub mod read;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&read::ROUTE, &list::ROUTE];
