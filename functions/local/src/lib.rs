//! Every function in one process.

pub mod services;

use axum::Router;
use common::{
    Api,
    http::{self, Route},
};

/// Returns the routes of all resources, in the order of the contract.
pub fn routes() -> Vec<&'static Route> {
    [flows::ROUTES, flow_runs::ROUTES, flow_run_states::ROUTES, admin::ROUTES, root::ROUTES].into_iter().flatten().collect()
}

/// Makes the service of all routes.
pub fn app(api: Api) -> Router {
    http::server(api, routes())
}
