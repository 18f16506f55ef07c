//! What the server does with records: transitions, schedules, jobs, and what follows from a write.

pub mod actions;
mod app;
pub mod automation_switch;
pub mod automation_variables;
pub mod automations;
pub mod background_tasks;
pub mod blocks;
pub mod cleanups;
pub mod consumer_lag;
pub mod dead_letters;
pub mod deployment_pauses;
pub mod deployment_responses;
pub mod deployment_runs;
pub mod event_ingestion;
pub mod flow_run_creation;
pub mod flow_run_resumption;
pub mod flow_run_update;
pub mod heartbeats;
pub mod jobs;
pub mod live;
pub mod log_ingestion;
mod panics;
pub mod result_storage;
pub mod scheduler;
pub mod service_levels;
pub mod stream;
pub mod task_run_creation;
pub mod timers;
pub mod transitions;
pub mod vault;
pub mod void_runs;
pub mod work_pool_update;
pub mod work_queue_placement;
pub mod work_queue_update;
pub mod workspace_variables;

pub use app::App;
