//! Every function in one process.

pub mod keys;
pub mod services;
pub mod socket;

use axum::Router;
use common::{
    Api,
    http::{self, Route},
};

/// The routes of every resource, in the order of the contract.
static RESOURCES: &[&&[&Route]] = &[
    &root::ROUTES,
    &flows::ROUTES,
    &flow_runs::ROUTES,
    &task_runs::ROUTES,
    &flow_run_states::ROUTES,
    &task_run_states::ROUTES,
    &logs::ROUTES,
    &concurrency_limits_v2::ROUTES,
    &events::ROUTES,
    &admin::ROUTES,
];

/// Returns the routes of all resources, in the order of the contract.
pub fn routes() -> Vec<&'static Route> {
    RESOURCES.iter().flat_map(|routes| routes.iter().copied()).collect()
}

/// Makes the service of all routes.
pub fn app(api: Api) -> Router {
    http::server(api, routes(), socket::routes())
}
