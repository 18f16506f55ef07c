//! Changes of a work queue, as Prefect's `update_work_queue` makes them.

use serde::Deserialize;

use domain::{
    model::{
        Timestamp, WorkQueue,
        work_queue::{QueueFilter, WorkQueueStatus},
    },
    patch::Patch,
};
use error::{Error, Result};

/// For how many seconds a queue that was polled counts as ready.
const POLLED_SECONDS: f64 = 60.0;

/// What is to be changed of a work queue (contract schema `WorkQueueUpdate`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WorkQueueUpdate {
    name: Patch<String>,
    description: Patch<String>,
    is_paused: Patch<bool>,
    concurrency_limit: Patch<i64>,
    priority: Patch<i64>,
    last_polled: Patch<Timestamp>,
    filter: Patch<QueueFilter>,
}

impl WorkQueueUpdate {
    /// Makes the change that pauses a queue, or lets it go on.
    pub fn pausing(is_paused: bool) -> Self {
        Self { is_paused: Patch::Value(is_paused), ..Self::default() }
    }

    /// Changes `queue` at `now`.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a null where Prefect's database takes none.
    pub fn apply(&self, queue: &mut WorkQueue, now: Timestamp) -> Result<()> {
        queue.updated = now;
        self.name.set(&mut queue.name)?;
        if self.description.is_null() {
            return Err(Error::integrity_conflict());
        }
        self.description.set_or_clear(&mut queue.description);
        self.concurrency_limit.set_or_clear(&mut queue.concurrency_limit);
        self.priority.set(&mut queue.priority)?;
        self.last_polled.set_or_clear(&mut queue.last_polled);
        self.filter.set_or_clear(&mut queue.filter);
        self.is_paused.set_unless_null(&mut queue.is_paused);
        if self.is_paused.value().is_some() {
            queue.status = status(queue, now);
        }
        Ok(())
    }
}

/// Returns the status of a queue of which was said whether it is paused.
fn status(queue: &WorkQueue, now: Timestamp) -> WorkQueueStatus {
    let is_polled = queue.last_polled.is_some_and(|polled| now.seconds_since(polled) <= POLLED_SECONDS);
    match (queue.is_paused, queue.status) {
        (true, _) => WorkQueueStatus::Paused,
        (false, WorkQueueStatus::Paused) if is_polled => WorkQueueStatus::Ready,
        (false, WorkQueueStatus::Paused) => WorkQueueStatus::NotReady,
        (false, status) => status,
    }
}
