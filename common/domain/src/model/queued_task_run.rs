//! Background task runs that wait for a worker.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{StateId, TaskRunId, Timestamp};

/// A background task run in the queue of its task: nobody has begun it.
///
/// It counts as long as the run is in the state in which it was queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedTaskRun {
    /// The run.
    pub task_run_id: TaskRunId,
    /// The key of the task, by which workers ask.
    pub task_key: String,
    /// The state in which the run waits.
    pub state_id: StateId,
    /// When it was queued.
    pub queued: Timestamp,
    /// Whether it awaits a retry; these go first.
    pub is_retry: bool,
    /// Whom it was handed.
    #[serde(default)]
    pub handed: Option<Handed>,
}

/// Whom a background task run was handed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// What the worker calls itself.
    pub client_id: String,
    /// The connection through which it was handed.
    pub connection: Uuid,
    /// When it was handed.
    pub at: Timestamp,
    /// Whether the worker has acknowledged it.
    pub acknowledged: bool,
    /// The connection's id where a gateway holds it: then its record says whether it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

impl QueuedTaskRun {
    /// Returns the part of the key that puts retries before first attempts.
    pub fn order(&self) -> &'static str {
        if self.is_retry { "again" } else { "first" }
    }
}
