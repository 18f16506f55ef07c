//! Leases: slots of concurrency limits that a client holds for a while.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ConcurrencyLimitId, TaskRunId, Timestamp, id::typed_id};

typed_id! {
    /// The id of a lease on slots of concurrency limits.
    LeaseId
}

/// A lease on slots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// The lease's id.
    pub id: LeaseId,
    /// When the lease ends, unless it is renewed.
    pub expiration: Timestamp,
    /// How many slots of each limit it holds.
    pub slots: i64,
    /// Who holds it (contract schema `ConcurrencyLeaseHolder`).
    #[serde(default)]
    pub holder: Option<Value>,
    /// When it was made.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// The limits.
    #[serde(default)]
    pub limits: Vec<ConcurrencyLimitId>,
    /// Whether the limits list it, and so does the task run that holds it: a tag's limit is among them.
    #[serde(default)]
    pub is_listed: bool,
}

/// How long a task run's lease on slots of its tags lasts, in seconds: it is not renewed, the run frees its slots when it ends.
pub const TASK_RUN_LEASE_SECONDS: f64 = 100.0 * 365.0 * 86_400.0;

impl Lease {
    /// Makes a lease of `run` on a slot of each of the `limits`, of which at least one is a tag's.
    pub fn of_task_run(run: TaskRunId, limits: Vec<ConcurrencyLimitId>, now: Timestamp) -> Self {
        Self {
            id: LeaseId::new(),
            expiration: now.plus_seconds(TASK_RUN_LEASE_SECONDS),
            slots: 1,
            holder: Some(json!({"type": "task_run", "id": run})),
            created: Some(now),
            limits,
            is_listed: true,
        }
    }

    /// Returns the task run that holds it, if one does.
    pub fn task_run(&self) -> Option<TaskRunId> {
        let holder = self.holder.as_ref().filter(|holder| holder["type"] == "task_run")?;
        holder["id"].as_str()?.parse().ok()
    }
}
