//! The flows resource: one verb, one file.

pub mod create;
pub mod delete;
pub mod read;
pub mod read_by_name;
pub mod update;

use common::http::Route;

/// The routes of this resource.
pub const ROUTES: &[Route] = &[create::ROUTE, delete::ROUTE, read::ROUTE, read_by_name::ROUTE, update::ROUTE];
