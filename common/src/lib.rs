//! Everything that Proctor's functions share, under one name; each floor is a crate of its own beside this file.

pub use access;
pub use assets;
pub use budget;
pub use contract;
pub use domain::{
    self, dependencies, event_counts, events as lifecycle_events, filter, graph, history, json, lateness, liveness,
    logs_csv, model, orchestration, outcomes, patch, precedence, priorities, python, run_loops, schedule,
};
pub use error::{self, Error, InWords, Result};
pub use http_api as http;
pub use observation;
pub use runtime::{self, lambda, logging};
pub use schema_tools::{self, job_variables};
pub use services::{
    self, App, actions, automation_switch, automation_variables, automations, background_tasks, blocks, cleanups,
    connections, consumer_lag, dead_letters, deployment_pauses, deployment_responses, deployment_runs, event_ingestion,
    flow_run_creation, flow_run_resumption, flow_run_update, jobs, live, log_ingestion, result_storage, scheduler,
    service_levels, stream, task_run_creation, timers, transitions, vault, void_runs, work_pool_update,
    work_queue_placement, work_queue_update, workspace_variables,
};
pub use settings::{self, Settings};
pub use socket;
pub use store::{self, Store};
