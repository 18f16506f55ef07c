//! Where a deployment's runs wait: the work pool and queue that a request names.

use common::{
    Api, Error, Result,
    model::Deployment,
    store::work_pools::{DEFAULT_AGENT_POOL, KeptWorkPool},
    work_places::{MissingQueue, QueueInPool, queue_of_pool, queue_without_pool},
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
    pub(crate) fn put(&self, deployment: &mut Deployment) {
        match self {
            Self::Nothing => {}
            Self::None => deployment.put_into(None),
            Self::In(queue) => deployment.put_into(Some(queue.clone())),
        }
    }
}

/// Returns the queue that is named, made if it is not there; a pool without a queue stands for its default queue.
///
/// # Errors
/// [`Error::NotFound`] without such a pool.
pub(crate) async fn find_or_make(api: &Api, pool: Option<&str>, queue: Option<&str>) -> Result<Asked> {
    let queue = queue.filter(|name| !name.is_empty());
    Ok(match (pool.filter(|name| !name.is_empty()), queue) {
        (Some(pool), _) => match queue_of_pool(api, pool, queue, MissingQueue::Made).await? {
            Some(queue) => Asked::In(queue),
            None => Asked::None,
        },
        (None, Some(queue)) => Asked::In(queue_without_pool(api, queue).await?),
        (None, None) => Asked::Nothing,
    })
}

/// Reads the pool that is named, if one is; the one of queues without a pool may still have to be made.
///
/// # Errors
/// [`Error::NotFound`] without such a pool.
pub(crate) async fn pool(api: &Api, name: Option<&str>) -> Result<Option<KeptWorkPool>> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    match api.store.work_pool(name).await? {
        Some(found) => Ok(Some(found.record)),
        None if name == DEFAULT_AGENT_POOL => Ok(None),
        None => Err(Error::NotFound(format!("Work pool \"{name}\" not found."))),
    }
}
