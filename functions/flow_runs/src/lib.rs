//! The flow runs resource: one verb, one file.

pub mod bulk_delete;
pub mod bulk_set_state;
pub mod count;
pub mod create;
pub mod create_flow_run_input;
pub mod delete;
pub mod delete_flow_run_input;
pub mod download_logs;
pub mod filter;
pub mod filter_flow_run_input;
pub mod graph;
pub mod graph_v2;
pub mod history;
pub mod lateness;
pub mod paginate;
pub mod read;
pub mod read_flow_run_input;
pub mod resume;
pub mod set_state;
pub mod update;
pub mod update_labels;

use common::http::Route;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &update::ROUTE,
    &read::ROUTE,
    &delete::ROUTE,
    &count::ROUTE,
    &lateness::ROUTE,
    &history::ROUTE,
    &filter::ROUTE,
    &paginate::ROUTE,
    &graph::ROUTE,
    &graph_v2::ROUTE,
    &resume::ROUTE,
    &bulk_delete::ROUTE,
    &bulk_set_state::ROUTE,
    &set_state::ROUTE,
    &download_logs::ROUTE,
    &update_labels::ROUTE,
    &create_flow_run_input::ROUTE,
    &filter_flow_run_input::ROUTE,
    &read_flow_run_input::ROUTE,
    &delete_flow_run_input::ROUTE,
];
