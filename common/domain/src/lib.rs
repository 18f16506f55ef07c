//! What Prefect's records are and what may be done with them: pure, without I/O.

pub mod access;
pub mod automations;
pub mod blocks;
pub mod dependencies;
pub mod event_counts;
pub mod events;
pub mod filter;
pub mod graph;
pub mod heartbeats;
pub mod history;
pub mod interests;
pub mod json;
pub mod lateness;
pub mod liveness;
pub mod logs_csv;
pub mod model;
pub mod orchestration;
pub mod outcomes;
pub mod patch;
pub mod precedence;
pub mod priorities;
pub mod python;
pub mod run_loops;
pub mod schedule;
pub mod tallies;
