//! The collections resource: one verb, one file.

pub mod read_view;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&read_view::ROUTE];
