//! What both operations on slots are asked and answer.

use common::model::{ConcurrencyLimit, ConcurrencyLimitId, TaskRunId};
use serde::{Deserialize, Serialize};

/// Slots of tags, one of each, and the task run that holds them.
#[derive(Debug, Deserialize)]
pub(crate) struct TaskRunSlots {
    pub(crate) names: Vec<String>,
    pub(crate) task_run_id: TaskRunId,
}

/// A limit of which a slot was taken or given back (contract schema `MinimalConcurrencyLimitResponse`).
#[derive(Debug, Serialize)]
pub(crate) struct ChangedLimit {
    id: ConcurrencyLimitId,
    name: String,
    limit: i64,
}

impl ChangedLimit {
    /// Names the limit by its tag, as Prefect does where a slot is taken.
    pub(crate) fn by_tag(limit: &ConcurrencyLimit) -> Self {
        Self { id: limit.id, name: limit.tag().unwrap_or(&limit.name).to_owned(), limit: limit.limit }
    }

    /// Names the limit by its name, as Prefect does where a slot is given back.
    pub(crate) fn by_name(limit: ConcurrencyLimit) -> Self {
        Self { id: limit.id, name: limit.name, limit: limit.limit }
    }
}
