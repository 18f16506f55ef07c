//! Where flow runs wait: the work queue that a deployment or a flow run names, which is made where upstream makes it.
//!
//! As upstream's `WorkerLookups` and `ensure_work_queue_exists`.

use crate::{
    api::Api,
    error::{Error, Result},
    model::{Object, WorkPlace, WorkPool, WorkPoolId, WorkQueue, WorkQueueId, work_pool::WorkPoolStorageConfiguration},
    store::{
        CommitError,
        commit::until_uncontended,
        work_pools::KeptWorkPool,
        work_queues::{KeptWorkQueue, PoolWithQueues},
    },
    work_pool_events,
    work_queue_priorities::first_free,
};

/// The pool of the queues that are named without a pool.
pub const DEFAULT_AGENT_POOL: &str = "default-agent-pool";

/// A work queue, and what is remembered of it and its pool.
pub type QueueInPool = (WorkQueueId, WorkPlace);

/// What becomes of a queue that is named and isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingQueue {
    /// It is made.
    Made,
    /// The request is refused.
    Refused,
}

/// Returns the queue called `queue` of the pool called `pool`, or that pool's default queue.
///
/// # Errors
/// [`Error::NotFound`] without such a pool, and without such a queue where it is not to be made.
pub async fn queue_of_pool(
    api: &Api,
    pool: &str,
    queue: Option<&str>,
    missing: MissingQueue,
) -> Result<Option<QueueInPool>> {
    let no_pool = || Error::NotFound(format!("Work pool \"{pool}\" not found."));
    let Some(queue) = queue else {
        let of = api.store.work_pool_with_queues(pool).await?.ok_or_else(no_pool)?;
        let default = of.pool.record.pool.default_queue_id;
        let found = of.queues.iter().find(|found| Some(found.record.queue.id) == default);
        return Ok(found.map(|found| placed(&found.record.queue, &of)));
    };
    let id = WorkQueueId::new();
    until_uncontended(|| async {
        let of = api.store.work_pool_with_queues(pool).await?;
        let found = of.as_ref().and_then(|of| Some(placed(&of.queue(queue)?.record.queue, of)));
        match (found, of, missing) {
            (Some(found), ..) => Ok(Some(found)),
            (None, Some(of), MissingQueue::Made) => Ok(Some(add(api, &of, id, queue, first_free(&of.ranks())).await?)),
            (None, None, MissingQueue::Made) => Err(no_pool().into()),
            (None, _, MissingQueue::Refused) => {
                Err(Error::NotFound(format!("Work pool queue '{pool}/{queue}' not found.")).into())
            }
        }
    })
    .await
}

/// Returns the queue called `queue` of the pool of such queues; both are made if they aren't there.
pub async fn queue_without_pool(api: &Api, queue: &str) -> Result<QueueInPool> {
    let id = WorkQueueId::new();
    until_uncontended(|| async {
        let of = default_agent_pool(api).await?;
        match of.queue(queue) {
            Some(found) => Ok(placed(&found.record.queue, &of)),
            // The last one that is made comes first.
            None => add(api, &of, id, queue, 1).await,
        }
    })
    .await
}

async fn default_agent_pool(api: &Api) -> Result<PoolWithQueues, CommitError> {
    if let Some(found) = api.store.work_pool_with_queues(DEFAULT_AGENT_POOL).await? {
        return Ok(found);
    }
    let now = api.now();
    let pool = WorkPool {
        id: WorkPoolId::new(),
        created: now,
        updated: now,
        name: DEFAULT_AGENT_POOL.to_owned(),
        description: None,
        r#type: "prefect-agent".to_owned(),
        base_job_template: Object::new(),
        is_paused: false,
        concurrency_limit: None,
        status: None,
        default_queue_id: None,
        storage_configuration: WorkPoolStorageConfiguration::default(),
    };
    let (pool, queue) = with_default_queue(pool)?;
    match api.store.add_work_pool(&pool, &queue).await {
        Ok(()) | Err(Error::Conflict(_)) => {}
        Err(error) => return Err(error.into()),
    }
    api.store.work_pool_with_queues(DEFAULT_AGENT_POOL).await?.ok_or(CommitError::Contended)
}

/// Returns a new pool and its default queue as they are kept, with the events that tell of them.
///
/// # Errors
/// Only if an event can't be written as JSON.
pub fn with_default_queue(mut pool: WorkPool) -> Result<(KeptWorkPool, KeptWorkQueue)> {
    let mut queue = WorkQueue::new(WorkQueueId::new(), "default", 1, pool.id, pool.created);
    queue.description = Some("The work pool's default queue.".into());
    pool.default_queue_id = Some(queue.id);
    let queue_events = vec![work_pool_events::queue_created(&queue, &pool)?];
    let pool_events = vec![work_pool_events::pool_created(&pool)?, work_pool_events::pool_status(&pool, None)?];
    let kept = KeptWorkPool { pool, queues: vec![queue.id], last_status: None, events: pool_events };
    Ok((kept, KeptWorkQueue { queue, events: queue_events }))
}

async fn add(
    api: &Api,
    to: &PoolWithQueues,
    id: WorkQueueId,
    name: &str,
    priority: i64,
) -> Result<QueueInPool, CommitError> {
    let pool = &to.pool.record.pool;
    let queue = WorkQueue::new(id, name, priority, pool.id, api.now());
    let events = vec![work_pool_events::queue_created(&queue, pool)?];
    let kept = KeptWorkQueue { queue, events };
    api.store.add_work_queue(to, &kept).await?;
    Ok(placed(&kept.queue, to))
}

fn placed(queue: &WorkQueue, of: &PoolWithQueues) -> QueueInPool {
    (queue.id, WorkPlace::new(queue, &of.pool.record.pool))
}
