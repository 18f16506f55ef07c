//! The paths of operations on a pool or a queue, both named.

use common::{
    App, Error, Result,
    python::repr_str,
    store::{
        Versioned,
        work_pools::StoredWorkPool,
        work_queues::{PoolWithQueues, StoredWorkQueue},
    },
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct PoolPath {
    #[serde(alias = "work_pool_name")]
    name: String,
}

impl PoolPath {
    /// Returns the pool's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reads the pool.
    pub(crate) async fn pool(&self, app: &App) -> Result<Versioned<StoredWorkPool>> {
        app.store.work_pool(&self.name).await?.ok_or_else(|| no_pool(&self.name))
    }

    /// Reads the pool with its queues.
    pub(crate) async fn pool_with_queues(&self, app: &App) -> Result<PoolWithQueues> {
        app.store.work_pool_with_queues(&self.name).await?.ok_or_else(|| no_pool(&self.name))
    }

    /// Words that there is no such pool as Prefect does where it formats the name as Python writes a text.
    pub(crate) fn worded_as_python_writes_it(&self, error: Error) -> Error {
        match error {
            Error::NotFound(_) => Error::not_found_in_words(format!("Work pool {} not found.", repr_str(&self.name))),
            other => other,
        }
    }

    /// Says whether the pool's name is one of those that Prefect keeps for itself.
    pub(crate) fn is_reserved(&self) -> bool {
        is_reserved(&self.name)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct QueuePath {
    work_pool_name: String,
    name: String,
}

impl QueuePath {
    /// Reads the pool with its queues, if there is one.
    pub(crate) async fn pool_with_queues(&self, app: &App) -> Result<Option<PoolWithQueues>> {
        app.store.work_pool_with_queues(&self.work_pool_name).await
    }

    /// Returns the queue of the pool.
    pub(crate) fn queue<'p>(&self, pool: &'p PoolWithQueues) -> Result<&'p Versioned<StoredWorkQueue>> {
        pool.queue(&self.name).ok_or_else(|| self.no_queue())
    }

    /// Says that there is no such pool.
    pub(crate) fn no_pool(&self) -> Error {
        no_pool(&self.work_pool_name)
    }

    /// Says that there is no such queue.
    pub(crate) fn no_queue(&self) -> Error {
        no_queue(&self.work_pool_name, &self.name)
    }
}

/// Says whether a pool's name is one of those that Prefect keeps for itself.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.to_lowercase().starts_with("prefect")
}

/// Says that there is no such queue in the pool.
pub(crate) fn no_queue(pool: &str, name: &str) -> Error {
    Error::not_found_in_words(format!("Work pool queue '{pool}/{name}' not found."))
}

fn no_pool(name: &str) -> Error {
    Error::not_found_in_words(format!("Work pool \"{name}\" not found."))
}
