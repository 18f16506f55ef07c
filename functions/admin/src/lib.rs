//! The admin resource: one verb, one file.

pub mod read_settings;
pub mod read_version;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&read_settings::ROUTE, &read_version::ROUTE];
