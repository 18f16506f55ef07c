//! Task workers: processes that wait for background tasks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A process that waits for background tasks (contract schema `TaskWorkerResponse`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskWorker {
    /// What the process calls itself.
    pub identifier: String,
    /// The keys of the tasks that it runs.
    pub task_keys: BTreeSet<String>,
    /// When it was seen last.
    pub timestamp: Timestamp,
}

impl TaskWorker {
    /// Tells whether the worker runs any of the tasks; where none are named, every worker does.
    pub fn runs_any(&self, task_keys: &[String]) -> bool {
        task_keys.is_empty() || task_keys.iter().any(|key| self.task_keys.contains(key))
    }
}
