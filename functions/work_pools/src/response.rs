//! Pools and queues as the API answers them (contract schemas `WorkPoolResponse` and `WorkQueueResponse`).

use common::model::{WorkPool, WorkQueue};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct WorkPoolResponse {
    #[serde(flatten)]
    pool: WorkPool,
    active_slots: Option<u64>,
}

impl From<WorkPool> for WorkPoolResponse {
    fn from(pool: WorkPool) -> Self {
        Self { active_slots: active_slots(pool.concurrency_limit), pool }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct WorkQueueResponse {
    #[serde(flatten)]
    queue: WorkQueue,
    work_pool_name: String,
    active_slots: Option<u64>,
}

impl WorkQueueResponse {
    pub(crate) fn new(queue: WorkQueue, pool: &WorkPool) -> Self {
        Self { active_slots: active_slots(queue.concurrency_limit), queue, work_pool_name: pool.name.clone() }
    }
}

/// Counts the flow runs that hold a slot, where slots are limited: no flow run can be put into a queue yet.
fn active_slots(limit: Option<i64>) -> Option<u64> {
    limit.map(|_| 0)
}
