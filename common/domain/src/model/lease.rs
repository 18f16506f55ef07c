//! Leases: slots of concurrency limits that a client holds for a while.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

impl Lease {
    /// Returns the task run that holds it, if one does.
    pub fn task_run(&self) -> Option<TaskRunId> {
        let holder = self.holder.as_ref().filter(|holder| holder["type"] == "task_run")?;
        holder["id"].as_str()?.parse().ok()
    }
}
