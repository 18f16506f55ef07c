//! Everything that Proctor's functions share: the model, the orchestration rules, the store and the HTTP plumbing.

pub mod access;
pub mod api;
pub mod contract;
pub mod dependencies;
pub mod error;
pub mod filter;
pub mod flow_run_graph;
pub mod history;
pub mod http;
pub mod intake;
pub mod lambda;
pub mod lateness;
pub mod logging;
pub mod logs_csv;
pub mod model;
pub mod observation;
pub mod queue;
pub mod schedule;
pub mod scheduler;
pub mod schema_tools;
pub mod settings;
pub mod socket;
pub mod store;
pub mod stream;
pub mod timers;
pub mod transitions;
pub mod trust;
pub mod work;
pub mod work_pool_events;
pub mod work_queue_priorities;

pub use api::Api;
pub use error::{Error, Result};
pub use settings::Settings;
pub use store::Store;
pub mod orchestration;
