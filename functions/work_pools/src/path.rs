//! The paths of operations on a pool or a queue, both named.

use common::{
    App, Error, InWords, Result,
    error::Missing,
    lifecycle_events::Lifecycle,
    python::repr_str,
    store::{
        Versioned,
        work_pools::StoredWorkPool,
        work_queues::{PoolWithQueues, QueueName, StoredWorkQueue},
    },
    work_queue_placement::no_such_pool,
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
        self.worded(app.store.read_work_pool(&self.name).await)
    }

    /// Reads the pool with its queues.
    pub(crate) async fn pool_with_queues(&self, app: &App) -> Result<PoolWithQueues> {
        self.worded(app.store.read_work_pool_with_queues(&self.name).await)
    }

    /// Says which pool there is not, in Prefect's words.
    pub(crate) fn worded<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.map_err(|error| pool_in_words(&self.name, error))
    }

    /// Says which pool there is not as Prefect does where it formats the name as Python writes a text.
    pub(crate) fn worded_as_python_writes_it<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.in_words(&format!("Work pool {} not found.", repr_str(&self.name)))
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

    /// Returns how the store names the queue.
    pub(crate) fn queue_name(&self) -> QueueName<'_> {
        QueueName::InPool(&self.work_pool_name, &self.name)
    }

    /// Says which pool or queue there is not, in Prefect's words.
    pub(crate) fn worded<T>(&self, outcome: Result<T>) -> Result<T> {
        let outcome = outcome.map_err(|error| pool_in_words(&self.work_pool_name, error));
        outcome.in_words(&format!("Work pool queue '{}/{}' not found.", self.work_pool_name, self.name))
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

/// Says instead of `error` that there is no pool called `name`, if that is what it says.
pub(crate) fn pool_in_words(name: &str, error: Error) -> Error {
    match error {
        Error::NotFound(Missing::Record(StoredWorkPool::RESOURCE)) => no_such_pool(name),
        other => other,
    }
}
