//! Changes of a work queue, as Prefect's `update_work_queue` makes them.

use serde::Deserialize;

use domain::{
    events::work_pools::{self, Updates},
    model::{
        Timestamp, WorkPool, WorkQueue,
        work_queue::{QueueFilter, WorkQueueStatus},
    },
    patch::{sent, set, set_or_clear},
};
use error::{Error, Result};
use store::work_queues::StoredWorkQueue;

/// For how many seconds a queue that was polled counts as ready.
const POLLED_SECONDS: f64 = 60.0;

/// What is to be changed of a work queue (contract schema `WorkQueueUpdate`).
#[derive(Clone, Debug, Deserialize)]
pub struct WorkQueueUpdate {
    #[serde(default, deserialize_with = "sent")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    description: Option<Option<String>>,
    is_paused: Option<bool>,
    #[serde(default, deserialize_with = "sent")]
    concurrency_limit: Option<Option<i64>>,
    #[serde(default, deserialize_with = "sent")]
    priority: Option<Option<i64>>,
    #[serde(default, deserialize_with = "sent")]
    last_polled: Option<Option<Timestamp>>,
    #[serde(default, deserialize_with = "sent")]
    filter: Option<Option<QueueFilter>>,
}

impl WorkQueueUpdate {
    /// Returns the queue `before` of `pool` as it is after the change at `now`, with the events that tell of it.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a null where Prefect's database takes none.
    pub fn apply(&self, before: &WorkQueue, pool: &WorkPool, now: Timestamp) -> Result<StoredWorkQueue> {
        changed(before, pool, self, now)
    }
}

fn changed(before: &WorkQueue, pool: &WorkPool, sent: &WorkQueueUpdate, now: Timestamp) -> Result<StoredWorkQueue> {
    let mut queue = WorkQueue { updated: now, ..before.clone() };
    set(&mut queue.name, sent.name.as_ref())?;
    if sent.description == Some(None) {
        return Err(Error::integrity_conflict());
    }
    set_or_clear(&mut queue.description, sent.description.as_ref());
    set_or_clear(&mut queue.concurrency_limit, sent.concurrency_limit.as_ref());
    set(&mut queue.priority, sent.priority.as_ref())?;
    set_or_clear(&mut queue.last_polled, sent.last_polled.as_ref());
    set_or_clear(&mut queue.filter, sent.filter.as_ref());
    if let Some(is_paused) = sent.is_paused {
        queue.is_paused = is_paused;
        queue.status = status(&queue, now);
    }

    let mut updates = Updates::default();
    updates.note("name", &before.name, &queue.name)?;
    updates.note("description", &before.description, &queue.description)?;
    updates.note("concurrency_limit", &before.concurrency_limit, &queue.concurrency_limit)?;
    updates.note("priority", &before.priority, &queue.priority)?;
    let mut events = Vec::new();
    if !updates.is_empty() {
        events.push(work_pools::queue_updated(&queue, pool, &updates)?);
    }
    if queue.status != before.status {
        events.push(work_pools::queue_status(&queue, pool)?);
    }
    Ok(StoredWorkQueue::new(queue, events))
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
