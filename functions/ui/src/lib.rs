//! The resource of the web interface: answers cut to what its pages show.

pub mod count_by_state;
pub mod count_deployments;
pub mod count_task_runs;
pub mod dashboard_counts;
pub mod flow_run_history;
pub mod next_runs;
pub mod read_task_run;
pub mod validate;

use common::http::Route;

/// How many records are counted for at once, or read for.
const AT_ONCE: usize = 16;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &flow_run_history::ROUTE,
    &count_task_runs::ROUTE,
    &count_deployments::ROUTE,
    &next_runs::ROUTE,
    &dashboard_counts::ROUTE,
    &count_by_state::ROUTE,
    &read_task_run::ROUTE,
    &validate::ROUTE,
];
