//! Work queues by their ids, whatever pool they belong to: the resource of agents, which polled queues without pools.

pub mod concurrency_status;
pub mod create;
pub mod delete;
pub mod filter;
pub mod get_runs;
pub mod read;
pub mod read_by_name;
mod responses;
pub mod status;
pub mod update;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &update::ROUTE,
    &read_by_name::ROUTE,
    &read::ROUTE,
    &get_runs::ROUTE,
    &filter::ROUTE,
    &delete::ROUTE,
    &concurrency_status::ROUTE,
    &status::ROUTE,
];
