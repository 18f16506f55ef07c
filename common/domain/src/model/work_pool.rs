//! Work pools: where flow runs wait for workers of one kind of infrastructure.

use serde::{Deserialize, Serialize};

use super::{
    BlockDocumentId, EventId, Object, Timestamp, WorkQueue, WorkQueueId,
    id::typed_id,
    work_queue::{PoolOfQueue, StoredWorkQueue},
};

typed_id! {
    /// The id of a work pool.
    WorkPoolId
}

/// The type of the pools that agents polled, of which no status is answered.
pub const FOR_AGENTS: &str = "prefect-agent";

/// Whether workers serve a work pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkPoolStatus {
    /// A worker is online.
    Ready,
    /// No worker is online.
    #[default]
    NotReady,
    /// The pool is paused.
    Paused,
}

/// Where the pool's flow code and results are kept (contract schema `WorkPoolStorageConfiguration`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkPoolStorageConfiguration {
    /// The step that uploads a bundle.
    pub bundle_upload_step: Option<Object>,
    /// The step that executes a bundle.
    pub bundle_execution_step: Option<Object>,
    /// The block document of the storage that results go to by default.
    pub default_result_storage_block_id: Option<BlockDocumentId>,
}

/// A work pool (contract schema `WorkPool`, and the stored part of `WorkPoolResponse`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkPool {
    /// The pool's id.
    pub id: WorkPoolId,
    /// When the pool was created.
    pub created: Timestamp,
    /// When the pool was last changed.
    pub updated: Timestamp,
    /// The unique name.
    pub name: String,
    /// What the pool is for.
    #[serde(default)]
    pub description: Option<String>,
    /// The kind of its workers, such as `process`.
    pub r#type: String,
    /// What a worker makes a run's infrastructure from.
    #[serde(default)]
    pub base_job_template: Object,
    /// Whether the pool hands out no runs.
    #[serde(default)]
    pub is_paused: bool,
    /// The most runs of the pool that may be active at once.
    #[serde(default)]
    pub concurrency_limit: Option<i64>,
    /// Whether workers serve the pool; kept for pools of the type [`FOR_AGENTS`] too, and not answered.
    #[serde(default)]
    pub status: Option<WorkPoolStatus>,
    /// The queue that runs wait in by default.
    #[serde(default)]
    pub default_queue_id: Option<WorkQueueId>,
    /// Where the pool's flow code and results are kept.
    #[serde(default)]
    pub storage_configuration: WorkPoolStorageConfiguration,
}

/// A work pool as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredWorkPool {
    /// The pool.
    pub pool: WorkPool,
    /// Its queues, in no order.
    pub queues: Vec<WorkQueueId>,
    /// The event of the status that the pool entered last, if one was to tell of it.
    pub last_status: Option<StatusEvent>,
    /// When the server looks whether a worker still serves the pool, after one was deleted.
    #[serde(default)]
    pub check: Option<Timestamp>,
}

/// The event of a change of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEvent {
    /// The event's id.
    pub id: EventId,
    /// When the status changed.
    pub occurred: Timestamp,
}

impl StatusEvent {
    /// Makes the event of a status that is entered at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { id: EventId::new(), occurred: now }
    }
}

impl StoredWorkPool {
    /// Makes `pool` with its default queue.
    pub fn with_default_queue(mut pool: WorkPool) -> (Self, StoredWorkQueue) {
        let id = WorkQueueId::new();
        pool.default_queue_id = Some(id);
        let mut queue = WorkQueue::new(id, "default", 1, pool.id, pool.created);
        queue.description = Some("The work pool's default queue.".into());
        let queue = StoredWorkQueue::new(queue, PoolOfQueue::new(&pool));
        (Self { pool, queues: vec![id], last_status: None, check: None }, queue)
    }

    /// Puts the pool into `status` at `now`, of which an event tells even if it is the status that the pool was in.
    pub fn enter(&mut self, status: WorkPoolStatus, now: Timestamp) {
        self.pool.updated = now;
        self.pool.status = Some(status);
        self.last_status = Some(StatusEvent::new(now));
    }
}
