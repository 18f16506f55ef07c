//! Every resource. Derived from the crates in `functions/` that have `ROUTES`: `cargo xtask generate`.

use common::http::Route;

/// The routes of every resource under the name of its crate, by that name.
pub static RESOURCES: &[(&str, &&[&Route])] = &[
    ("admin", &admin::ROUTES),
    ("api_keys", &api_keys::ROUTES),
    ("artifacts", &artifacts::ROUTES),
    ("automations", &automations::ROUTES),
    ("block_capabilities", &block_capabilities::ROUTES),
    ("block_documents", &block_documents::ROUTES),
    ("block_schemas", &block_schemas::ROUTES),
    ("block_types", &block_types::ROUTES),
    ("bulk_operations", &bulk_operations::ROUTES),
    ("collections", &collections::ROUTES),
    ("concurrency_limits", &concurrency_limits::ROUTES),
    ("concurrency_limits_v2", &concurrency_limits_v2::ROUTES),
    ("consumers", &consumers::ROUTES),
    ("dead_letters", &dead_letters::ROUTES),
    ("deployments", &deployments::ROUTES),
    ("events", &events::ROUTES),
    ("flow_run_states", &flow_run_states::ROUTES),
    ("flow_runs", &flow_runs::ROUTES),
    ("flows", &flows::ROUTES),
    ("logs", &logs::ROUTES),
    ("observed_states", &observed_states::ROUTES),
    ("root", &root::ROUTES),
    ("saved_searches", &saved_searches::ROUTES),
    ("task_run_states", &task_run_states::ROUTES),
    ("task_runs", &task_runs::ROUTES),
    ("task_workers", &task_workers::ROUTES),
    ("templates", &templates::ROUTES),
    ("ui", &ui::ROUTES),
    ("variables", &variables::ROUTES),
    ("work_pools", &work_pools::ROUTES),
    ("work_queues", &work_queues::ROUTES),
];
