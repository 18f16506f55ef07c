//! Where flow runs wait: the work queue that a deployment or a flow run names, which is made where Prefect makes it.
//!
//! As Prefect's `WorkerLookups` and `ensure_work_queue_exists`.

use domain::model::{
    Deployment, QueueAssignment, WorkPool, WorkQueue, WorkQueueId,
    work_queue::{WorkQueueAnswer, WorkQueueCreate},
};
use error::{Error, Result};
use store::{CommitError, commit::retry_on_conflict, work_queues::PoolWithQueues};

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
    match add(app, of, WorkQueueId::new(), queue, of.first_free()).await {
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
            (None, Some(of), MissingQueue::Made) => Ok(Some(add(app, &of, id, queue, of.first_free()).await?)),
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

/// Makes the queue that is `asked` for in the pool called `pool`, or in the one of queues of which no pool is named.
///
/// # Errors
/// [`Error::NotFound`] without such a pool, and [`Error::Conflict`] if the pool has a queue of the name.
pub async fn create_queue(app: &App, pool: Option<&str>, asked: &WorkQueueCreate) -> Result<WorkQueueAnswer> {
    let (id, now) = (WorkQueueId::new(), app.now());
    retry_on_conflict(|| async {
        let (to, is_new) = match pool {
            Some(name) => (app.store.read_work_pool_with_queues(name).await?, false),
            None => app.store.default_agent_pool(now).await?,
        };
        let pool = &to.pool.record.pool;
        let queue = match to.queue(&asked.name) {
            // A new pool has brought its default queue along; with our id, the answer of an attempt before was lost.
            Some(found) if is_new || found.record.queue.id == id => found.record.queue.clone(),
            Some(_) => return Err(Error::integrity_conflict().into()),
            None => {
                let queue = asked.clone().into_queue(id, pool.id, to.first_free(), now);
                app.store.add_work_queue(&to, queue).await?
            }
        };
        Ok(WorkQueueAnswer::new(queue, Some(pool.name.clone()), 0))
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
    Ok(placed(&app.store.add_work_queue(to, queue).await?, to))
}

fn placed(queue: &WorkQueue, of: &PoolWithQueues) -> QueueInPool {
    (queue.id, QueueAssignment::new(queue, &of.pool.record.pool))
}
