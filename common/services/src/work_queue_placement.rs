//! Where flow runs wait: the work queue that a deployment or a flow run names, which is made where Prefect makes it.
//!
//! As Prefect's `WorkerLookups` and `ensure_work_queue_exists`.

use domain::{
    model::{Deployment, QueueAssignment, WorkPool, WorkQueue, WorkQueueId, work_queue::WorkQueueCreate},
    priorities::first_free,
};
use error::{Error, Result};
use store::{
    CommitError,
    commit::retry_on_conflict,
    work_queues::{PoolWithQueues, StoredWorkQueue},
};

use crate::App;

/// A work queue, and what is remembered of it and its pool.
pub type QueueInPool = (WorkQueueId, QueueAssignment);

/// What becomes of a queue that is named and isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingQueue {
    /// It is made.
    Made,
    /// The request is refused.
    Refused,
}

/// Returns the queue and the pool that a deployment's runs wait in, as far as they are still there.
pub async fn assignment_of(app: &App, deployment: &Deployment) -> Result<(Option<QueueInPool>, Option<WorkPool>)> {
    let Some((queue, mut place)) = deployment.work_queue_id.zip(deployment.queue_assignment.clone()) else {
        return Ok((None, None));
    };
    let (queue, pool) = tokio::try_join!(app.store.work_queue(queue), app.store.work_pool_by_id(place.pool_id))?;
    let queue = queue.map(|found| {
        place.queue_name = found.record.queue.name;
        (found.record.queue.id, place)
    });
    let pool = pool.map(|found| found.record.pool).filter(|_| queue.is_some());
    Ok((queue, pool))
}

/// Returns the queue called `queue` of a pool that was read, made if it isn't there, or that pool's default queue.
pub async fn queue_in_pool(app: &App, of: &PoolWithQueues, queue: Option<&str>) -> Result<Option<QueueInPool>> {
    let Some(queue) = queue else { return Ok(default_queue(of)) };
    if let Some(found) = of.queue(queue) {
        return Ok(Some(placed(&found.record.queue, of)));
    }
    match add(app, of, WorkQueueId::new(), queue, first_free(&of.ranks())).await {
        Ok(made) => Ok(Some(made)),
        Err(CommitError::Failed(error)) => Err(error),
        // The pool was changed since it was read; perhaps the queue is there by now.
        Err(CommitError::ConditionFailed(_) | CommitError::Contended) => {
            queue_of_pool(app, &of.pool.record.pool.name, Some(queue), MissingQueue::Made).await
        }
    }
}

/// Returns the queue called `queue` of the pool called `pool`, or that pool's default queue.
///
/// # Errors
/// [`Error::NotFound`] without such a pool, and without such a queue where it is not to be made.
pub async fn queue_of_pool(
    app: &App,
    pool: &str,
    queue: Option<&str>,
    missing: MissingQueue,
) -> Result<Option<QueueInPool>> {
    let Some(queue) = queue else {
        let of = app.store.work_pool_with_queues(pool).await?.ok_or_else(|| no_such_pool(pool))?;
        return Ok(default_queue(&of));
    };
    let id = WorkQueueId::new();
    retry_on_conflict(|| async {
        let of = app.store.work_pool_with_queues(pool).await?;
        let found = of.as_ref().and_then(|of| Some(placed(&of.queue(queue)?.record.queue, of)));
        match (found, of, missing) {
            (Some(found), ..) => Ok(Some(found)),
            (None, Some(of), MissingQueue::Made) => Ok(Some(add(app, &of, id, queue, first_free(&of.ranks())).await?)),
            (None, None, MissingQueue::Made) => Err(no_such_pool(pool).into()),
            (None, _, MissingQueue::Refused) => {
                Err(Error::not_found_in_words(format!("Work pool queue '{pool}/{queue}' not found.")).into())
            }
        }
    })
    .await
}

/// Returns the queue called `queue` of the pool of such queues; both are made if they aren't there.
pub async fn queue_without_pool(app: &App, queue: &str) -> Result<QueueInPool> {
    let id = WorkQueueId::new();
    retry_on_conflict(|| async {
        let (of, _) = app.store.default_agent_pool(app.now()).await?;
        match of.queue(queue) {
            Some(found) => Ok(placed(&found.record.queue, &of)),
            // The last one that is made comes first.
            None => add(app, &of, id, queue, 1).await,
        }
    })
    .await
}

/// What is answered where a pool is named that isn't there.
pub fn no_such_pool(name: &str) -> Error {
    Error::not_found_in_words(format!("Work pool \"{name}\" not found."))
}

fn default_queue(of: &PoolWithQueues) -> Option<QueueInPool> {
    let default = of.pool.record.pool.default_queue_id;
    let found = of.queues.iter().find(|found| Some(found.record.queue.id) == default);
    found.map(|found| placed(&found.record.queue, of))
}

async fn add(
    app: &App,
    to: &PoolWithQueues,
    id: WorkQueueId,
    name: &str,
    priority: i64,
) -> Result<QueueInPool, CommitError> {
    let pool = &to.pool.record.pool;
    let asked = WorkQueueCreate {
        name: name.to_owned(),
        description: None,
        is_paused: false,
        concurrency_limit: None,
        priority: Some(priority),
        filter: None,
    };
    let queue = asked.into_queue(id, pool.id, priority, app.now());
    let kept = StoredWorkQueue::added(queue, pool)?;
    app.store.add_work_queue(to, &kept).await?;
    Ok(placed(&kept.queue, to))
}

fn placed(queue: &WorkQueue, of: &PoolWithQueues) -> QueueInPool {
    (queue.id, QueueAssignment::new(queue, &of.pool.record.pool))
}
