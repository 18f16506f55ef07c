//! Every route and every function there is: what the local server, the fallback and the templates are made of.

pub mod functions;

use common::http::Route;

/// The routes of every resource under the name of its crate, in the order of the contract.
pub static RESOURCES: &[(&str, &&[&Route])] = &[
    ("root", &root::ROUTES),
    ("flows", &flows::ROUTES),
    ("flow_runs", &flow_runs::ROUTES),
    ("task_runs", &task_runs::ROUTES),
    ("flow_run_states", &flow_run_states::ROUTES),
    ("task_run_states", &task_run_states::ROUTES),
    ("deployments", &deployments::ROUTES),
    ("logs", &logs::ROUTES),
    ("artifacts", &artifacts::ROUTES),
    ("automations", &automations::ROUTES),
    ("concurrency_limits_v2", &concurrency_limits_v2::ROUTES),
    ("work_pools", &work_pools::ROUTES),
    ("work_queues", &work_queues::ROUTES),
    ("variables", &variables::ROUTES),
    ("events", &events::ROUTES),
    ("admin", &admin::ROUTES),
    ("ui", &ui::ROUTES),
    ("bulk_operations", &bulk_operations::ROUTES),
];

/// Returns the routes of all resources, in the order of the contract.
pub fn routes() -> Vec<&'static Route> {
    RESOURCES.iter().flat_map(|(_, routes)| routes.iter().copied()).collect()
}
