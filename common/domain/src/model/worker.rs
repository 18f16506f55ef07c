//! Workers: processes that poll a work pool and start its flow runs.

use serde::{Deserialize, Serialize};

use super::{Timestamp, WorkPoolId, id::typed_id};

typed_id! {
    /// The id of a worker.
    WorkerId
}

/// Whether a worker sends heartbeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkerStatus {
    /// The worker sent a heartbeat lately.
    Online,
    /// The worker has missed several heartbeats.
    #[default]
    Offline,
}

/// A worker (contract schema `WorkerResponse`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// The worker's id.
    pub id: WorkerId,
    /// When the worker sent its first heartbeat.
    pub created: Timestamp,
    /// When the record was made; Prefect's heartbeats leave it as it is.
    pub updated: Timestamp,
    /// The name, unique within the pool.
    pub name: String,
    /// The pool that the worker polls.
    pub work_pool_id: WorkPoolId,
    /// When the worker last sent a heartbeat.
    pub last_heartbeat_time: Timestamp,
    /// The time between two heartbeats, in seconds, as the worker last told it.
    #[serde(default)]
    pub heartbeat_interval_seconds: Option<i64>,
    /// Whether the worker sends heartbeats.
    #[serde(default)]
    pub status: WorkerStatus,
}
