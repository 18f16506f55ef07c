//! The admin resource: one verb, one file.

pub mod clear_storage;
pub mod read_settings;
pub mod read_storage;
pub mod read_version;
pub mod update_storage;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] =
    &[&read_settings::ROUTE, &read_version::ROUTE, &read_storage::ROUTE, &update_storage::ROUTE, &clear_storage::ROUTE];
