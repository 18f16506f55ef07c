//! `PATCH /work_pools/{work_pool_name}/queues/{name}`: changes a queue of a work pool.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    Api, Error, Result,
    http::{Path, Route, Sent},
    model::{
        Timestamp, WorkPool, WorkQueue,
        work_queue::{QueueFilter, WorkQueueStatus},
    },
    store::{commit::until_uncontended, work_queues::KeptWorkQueue},
    work_pool_events::{self, Updates},
};
use serde::Deserialize;

use crate::{
    path::QueuePath,
    sent::{sent, set, set_or_clear},
};

/// The contract's `update_work_queue` of a pool.
pub static ROUTE: Route =
    Route::patch("update_work_queue", "/work_pools/{work_pool_name}/queues/{name}", || patch(update));

/// For how many seconds a queue that was polled counts as ready.
const POLLED_SECONDS: f64 = 60.0;

#[derive(Debug, Deserialize)]
struct WorkQueueUpdate {
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

async fn update(
    State(api): State<Api>,
    Path(path): Path<QueuePath>,
    Sent(sent): Sent<WorkQueueUpdate>,
) -> Result<StatusCode> {
    until_uncontended(|| async {
        let of = path.pool_with_queues(&api).await?.ok_or_else(|| path.no_pool())?;
        let before = path.queue(&of)?;
        let after = changed(&before.record.queue, &of.pool.record.pool, &sent, api.now())?;
        if of.queue(&after.queue.name).is_some_and(|other| other.record.queue.id != after.queue.id) {
            return Err(Error::integrity_conflict().into());
        }
        api.store.update_work_queue(&of, before, &after).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn changed(before: &WorkQueue, pool: &WorkPool, sent: &WorkQueueUpdate, now: Timestamp) -> Result<KeptWorkQueue> {
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
        events.push(work_pool_events::queue_updated(&queue, pool, &updates)?);
    }
    if queue.status != before.status {
        events.push(work_pool_events::queue_status(&queue, pool)?);
    }
    Ok(KeptWorkQueue { queue, events })
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
