//! The block capabilities resource: one verb, one file.

pub mod read;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&read::ROUTE];
