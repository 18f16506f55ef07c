//! The deployments resource: one verb, one file.

pub mod branch;
pub mod bulk_delete;
pub mod count;
pub mod create;
pub mod create_flow_run;
pub mod create_flow_runs;
pub mod delete;
pub mod filter;
pub mod get_scheduled_flow_runs;
mod limits;
pub mod paginate;
pub mod pause;
mod queue_assignment;
pub mod read;
pub mod read_by_name;
pub mod resume;
pub mod schedule;
pub mod schedules;
pub mod slas;
pub mod update;
pub mod work_queue_check;

use common::http::Route;

/// How Prefect words that there is no such deployment, where one is changed.
const NOT_FOUND: &str = "Deployment not found.";

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &update::ROUTE,
    &get_scheduled_flow_runs::ROUTE,
    &read_by_name::ROUTE,
    &read::ROUTE,
    &filter::ROUTE,
    &paginate::ROUTE,
    &count::ROUTE,
    &delete::ROUTE,
    &schedule::ROUTE,
    &branch::ROUTE,
    &slas::ROUTE,
    &slas::ROUTE_BY_RESOURCE,
    &bulk_delete::ROUTE,
    &create_flow_run::ROUTE,
    &create_flow_runs::ROUTE,
    &pause::ROUTE,
    &resume::ROUTE,
    &work_queue_check::ROUTE,
    &schedules::read::ROUTE,
    &schedules::create::ROUTE,
    &schedules::update::ROUTE,
    &schedules::delete::ROUTE,
];
