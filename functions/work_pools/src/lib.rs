//! Work pools with their queues and workers: where flow runs wait, and who starts them.

pub mod concurrency_status;
pub mod count;
pub mod create;
pub mod delete;
pub mod filter;
pub mod get_scheduled_flow_runs;
mod job_variables;
mod path;
pub mod queues;
pub mod read;
mod response;
pub mod update;
pub mod workers;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &read::ROUTE,
    &filter::ROUTE,
    &count::ROUTE,
    &update::ROUTE,
    &delete::ROUTE,
    &get_scheduled_flow_runs::ROUTE,
    &concurrency_status::ROUTE,
    &queues::create::ROUTE,
    &queues::read::ROUTE,
    &queues::filter::ROUTE,
    &queues::update::ROUTE,
    &queues::delete::ROUTE,
    &workers::heartbeat::ROUTE,
    &workers::filter::ROUTE,
    &workers::delete::ROUTE,
];
