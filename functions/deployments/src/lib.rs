//! The deployments resource: one verb, one file.

mod answers;
pub mod count;
pub mod delete;
pub mod filter;
pub mod get_scheduled_flow_runs;
pub mod paginate;
pub mod read;
pub mod read_by_name;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &get_scheduled_flow_runs::ROUTE,
    &read_by_name::ROUTE,
    &read::ROUTE,
    &filter::ROUTE,
    &paginate::ROUTE,
    &count::ROUTE,
    &delete::ROUTE,
];
