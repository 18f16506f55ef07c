//! The flows resource: one verb, one file.

pub mod bulk_delete;
pub mod count;
pub mod create;
pub mod delete;
pub mod filter;
pub mod paginate;
pub mod read;
pub mod read_by_name;
pub mod update;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &update::ROUTE,
    &read::ROUTE,
    &delete::ROUTE,
    &count::ROUTE,
    &read_by_name::ROUTE,
    &filter::ROUTE,
    &bulk_delete::ROUTE,
    &paginate::ROUTE,
];
