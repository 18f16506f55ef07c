//! Where a deployment's runs wait: the work pool and queue that a request names.

use common::{
    App, Result,
    model::Deployment,
    store::work_queues::PoolWithQueues,
    work_queue_placement::{QueueInPool, no_such_pool, queue_in_pool, queue_without_pool},
};

/// What a request says of the queue of a deployment's runs.
pub(crate) enum Asked {
    /// Nothing.
    Nothing,
    /// The runs wait in no queue.
    None,
    /// They wait in this one.
    In(QueueInPool),
}

impl Asked {
    /// Has the deployment's runs wait where it was asked for.
    pub(crate) fn assign_to(&self, deployment: &mut Deployment) {
        match self {
            Self::Nothing => {}
            Self::None => deployment.assign_queue(None),
            Self::In(queue) => deployment.assign_queue(Some(queue.clone())),
        }
    }
}

/// Reads the pool that is named, if one is.
///
/// # Errors
/// [`common::Error::NotFound`] without such a pool.
pub(crate) async fn pool(app: &App, name: Option<&String>) -> Result<Option<PoolWithQueues>> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    app.store.work_pool_with_queues(name).await?.ok_or_else(|| no_such_pool(name)).map(Some)
}

/// Returns the queue that is named, made if it is not there; a pool without a queue stands for its default queue.
pub(crate) async fn find_or_make(app: &App, pool: Option<&PoolWithQueues>, queue: Option<&String>) -> Result<Asked> {
    let queue = queue.map(String::as_str).filter(|name| !name.is_empty());
    Ok(match (pool, queue) {
        (Some(pool), _) => queue_in_pool(app, pool, queue).await?.map_or(Asked::None, Asked::In),
        (None, Some(queue)) => Asked::In(queue_without_pool(app, queue).await?),
        (None, None) => Asked::Nothing,
    })
}
