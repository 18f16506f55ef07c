//! The resource of the web interface: answers cut to what its pages show.

pub mod count_task_runs;
pub mod flow_run_history;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[&flow_run_history::ROUTE, &count_task_runs::ROUTE];
