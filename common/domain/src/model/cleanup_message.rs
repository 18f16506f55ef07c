//! What workers are asked to clean up: the infrastructure of runs that ended without them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Object, Timestamp, WorkPoolId, WorkQueueId, id::typed_id};

typed_id! {
    /// The id of a cleanup message; those of a pool sort by when they were made.
    CleanupMessageId
}

/// What is to be cleaned up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CleanupKind {
    /// The infrastructure of a run whose cancellation took too long.
    #[serde(rename = "cancelling_timeout_teardown.v1")]
    CancellingTimeoutTeardown,
    /// The infrastructure of a run that was claimed and never began. No server of Prefect's but the hosted one asks for it.
    #[serde(rename = "pending_claim_teardown.v1")]
    PendingClaimTeardown,
}

/// A cleanup that waits for a worker of its pool to acknowledge it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanupMessage {
    /// The message's id.
    pub id: CleanupMessageId,
    /// The pool whose workers may do it.
    pub work_pool_id: WorkPoolId,
    /// The queue whose workers are asked first.
    pub work_queue_id: Option<WorkQueueId>,
    /// What is to be cleaned up.
    pub kind: CleanupKind,
    /// Of which run.
    pub target: Object,
    /// When it was made.
    pub created: Timestamp,
    /// How often it was delivered.
    pub delivery_count: u32,
    /// Who has it at present.
    #[serde(default)]
    pub reservation: Option<Reservation>,
    /// When the server looks whether the reservation was renewed.
    #[serde(default)]
    pub check: Option<Timestamp>,
}

/// A delivery of a message to one worker, which has it until its lease expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// What the worker shows to acknowledge, renew or release the message.
    pub token: String,
    /// When others may have the message.
    pub lease_expires: Timestamp,
    /// The process of the worker, over all its connections.
    pub consumer: Uuid,
}

impl CleanupMessage {
    /// Returns the reservation if its lease still holds at `now`.
    pub fn reserved_at(&self, now: Timestamp) -> Option<&Reservation> {
        self.reservation.as_ref().filter(|reservation| reservation.lease_expires > now)
    }
}
