//! Work queues: where the flow runs of a work pool wait, by priority.

use serde::{Deserialize, Serialize};

use super::{DeploymentId, Timestamp, WorkPool, WorkPoolId, id::typed_id};

typed_id! {
    /// The id of a work queue.
    WorkQueueId
}

/// Whether something polls a work queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkQueueStatus {
    /// The queue was polled lately.
    Ready,
    /// Nothing has polled the queue lately.
    #[default]
    NotReady,
    /// The queue is paused.
    Paused,
}

/// The deprecated selection of flow runs by a queue without a pool (contract schema `QueueFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueFilter {
    /// Only runs with one of these tags.
    pub tags: Option<Vec<String>>,
    /// Only runs of these deployments.
    pub deployment_ids: Option<Vec<DeploymentId>>,
}

/// A work queue (contract schema `WorkQueue`, and the stored part of `WorkQueueResponse`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkQueue {
    /// The queue's id.
    pub id: WorkQueueId,
    /// When the queue was created.
    pub created: Timestamp,
    /// When the queue was last changed.
    pub updated: Timestamp,
    /// The name, unique within the pool.
    pub name: String,
    /// What the queue is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether the queue hands out no runs.
    #[serde(default)]
    pub is_paused: bool,
    /// The most runs of the queue that may be active at once.
    #[serde(default)]
    pub concurrency_limit: Option<i64>,
    /// The queue's rank within its pool; 1 is served first.
    #[serde(default = "highest_priority")]
    pub priority: i64,
    /// The pool that the queue belongs to.
    pub work_pool_id: Option<WorkPoolId>,
    /// The deprecated selection of runs.
    #[serde(default)]
    pub filter: Option<QueueFilter>,
    /// When the queue was last polled.
    #[serde(default)]
    pub last_polled: Option<Timestamp>,
    /// Whether something polls the queue.
    #[serde(default)]
    pub status: WorkQueueStatus,
}

impl WorkQueue {
    /// Makes a queue of `pool` that nothing has polled yet.
    pub fn new(id: WorkQueueId, name: impl Into<String>, priority: i64, pool: WorkPoolId, now: Timestamp) -> Self {
        Self {
            id,
            created: now,
            updated: now,
            name: name.into(),
            description: Some(String::new()),
            is_paused: false,
            concurrency_limit: None,
            priority,
            work_pool_id: Some(pool),
            filter: None,
            last_polled: None,
            status: WorkQueueStatus::NotReady,
        }
    }
}

/// What a queue keeps of its pool; none of it ever changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolOfQueue {
    /// The pool's id.
    pub id: WorkPoolId,
    /// The pool's name.
    pub name: String,
    /// The kind of the pool's workers.
    pub r#type: String,
}

impl PoolOfQueue {
    /// Returns what the queues of `pool` keep of it.
    pub fn new(pool: &WorkPool) -> Self {
        Self { id: pool.id, name: pool.name.clone(), r#type: pool.r#type.clone() }
    }
}

/// A work queue as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredWorkQueue {
    /// The queue.
    pub queue: WorkQueue,
    /// The pool that the queue belongs to.
    pub pool: PoolOfQueue,
    /// When the server looks whether the queue was polled lately.
    #[serde(default)]
    pub check: Option<Timestamp>,
}

impl StoredWorkQueue {
    /// Makes a queue of `pool` that nothing has polled yet.
    pub fn new(queue: WorkQueue, pool: PoolOfQueue) -> Self {
        Self { queue, pool, check: None }
    }
}

/// A work queue as the API answers it (contract schema `WorkQueueResponse`).
#[derive(Clone, Debug, Serialize)]
pub struct WorkQueueAnswer {
    #[serde(flatten)]
    queue: WorkQueue,
    work_pool_name: Option<String>,
    active_slots: Option<u64>,
}

impl WorkQueueAnswer {
    /// Makes the answer for `queue` in the pool of this name, of whose slots so many are in use.
    ///
    /// Slots count only where the queue has a limit.
    pub fn new(queue: WorkQueue, work_pool_name: Option<String>, occupied: u64) -> Self {
        Self { active_slots: queue.concurrency_limit.map(|_| occupied), queue, work_pool_name }
    }
}

/// What a work queue is made of (contract schema `WorkQueueCreate`).
#[derive(Clone, Debug, Deserialize)]
pub struct WorkQueueCreate {
    /// The name.
    pub name: String,
    /// What the queue is for.
    pub description: Option<String>,
    /// Whether the queue hands out no runs.
    #[serde(default)]
    pub is_paused: bool,
    /// The most runs of the queue that may be active at once.
    pub concurrency_limit: Option<i64>,
    /// The queue's rank within its pool; the first that is free if nothing is said.
    pub priority: Option<i64>,
    /// The deprecated selection of runs.
    pub filter: Option<QueueFilter>,
}

impl WorkQueueCreate {
    /// Makes the queue `id` of `pool`; `free` is the first rank that no queue of the pool has.
    pub fn into_queue(self, id: WorkQueueId, pool: WorkPoolId, free: i64, now: Timestamp) -> WorkQueue {
        let queue = WorkQueue::new(id, self.name, self.priority.unwrap_or(free), pool, now);
        WorkQueue {
            description: self.description.or(queue.description),
            is_paused: self.is_paused,
            concurrency_limit: self.concurrency_limit,
            filter: self.filter,
            ..queue
        }
    }
}

/// What records that wait in a work queue remember of the queue and its pool.
///
/// Of all this only the queue's name can change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueAssignment {
    /// The queue's name.
    pub queue_name: String,
    /// The pool.
    pub pool_id: WorkPoolId,
    /// The pool's name.
    pub pool_name: String,
    /// The kind of the pool's workers.
    pub pool_type: String,
}

impl QueueAssignment {
    /// Returns what is remembered of `queue`, which is one of `pool`.
    pub fn new(queue: &WorkQueue, pool: &WorkPool) -> Self {
        Self {
            queue_name: queue.name.clone(),
            pool_id: pool.id,
            pool_name: pool.name.clone(),
            pool_type: pool.r#type.clone(),
        }
    }
}

fn highest_priority() -> i64 {
    1
}
