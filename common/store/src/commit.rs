//! Writes: one conditional write, or one transaction of them.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};

use super::{
    Item, Key, Record, Store,
    backend::{LARGEST_TRANSACTION, MOST_WRITES},
    cost,
};
use error::{Error, Result};

/// One write of a transaction.
#[derive(Clone, Debug)]
pub enum Write {
    /// Adds an item that must not exist yet.
    Insert(Item),
    /// Replaces the item of the version before.
    Replace(Item),
    /// Writes an item whatever was there: only for items whose content derives from their key.
    Put(Item),
    /// Deletes an item, whether it is there or not.
    Delete(Key),
    /// Deletes an item of this version.
    DeleteVersion(Key, u64),
}

/// Why nothing was written.
#[derive(Debug)]
pub enum CommitError {
    /// The write at this place of the list met an item that contradicts its condition.
    ConditionFailed(usize),
    /// Another transaction held an item: load, decide and try again.
    Contended,
    /// The store failed.
    Failed(Error),
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::ConditionFailed(_) => Self::Conflict("The record was changed by another request".into()),
            CommitError::Contended => Self::Unavailable("other requests hold the record".into()),
            CommitError::Failed(error) => error,
        }
    }
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// How many writes that don't depend on each other are under way at once.
const PARALLEL_WRITES: usize = 32;

/// Up to how many writes are sent one by one, each with its condition.
const FEW_WRITES: usize = 3;

impl Store {
    /// Returns the write that adds `record`.
    pub fn insert<R: Record>(&self, record: &R) -> Result<Write> {
        Ok(Write::Insert(self.item(record, 1)?))
    }

    /// Returns the write that replaces the record that was read at `version` with `record`.
    pub fn replace<R: Record>(&self, record: &R, version: u64) -> Result<Write> {
        Ok(Write::Replace(self.item(record, version + 1)?))
    }

    /// Carries out `writes`: all of them or none.
    ///
    /// # Errors
    /// [`CommitError::ConditionFailed`] names the first write whose condition failed.
    pub fn commit(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<(), CommitError>> {
        Box::pin(async move {
            match writes.len() {
                0 => Ok(()),
                1..=LARGEST_TRANSACTION => self.backend.write(writes).await.map(drop),
                many => Err(Error::Unprocessable(format!(
                    "The request changes {many} records together, and at most {LARGEST_TRANSACTION} can be."
                ))
                .into()),
            }
        })
    }

    /// Adds those of `items` that are not there yet, in no order and not as a whole.
    ///
    /// For items whose keys derive from their content: a repeat adds what is missing and changes nothing else. Many
    /// items are looked for first and then written in batches, which take no conditions: if two writers bring the same
    /// item at the same moment, one of them stays.
    ///
    /// # Errors
    /// Those of the first write that failed; others may have been carried out.
    pub fn insert_missing(&self, items: Vec<Item>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if items.len() > FEW_WRITES {
                return self.insert_batches(items).await;
            }
            stream::iter(items)
                .map(|item| async {
                    match self.commit(vec![Write::Insert(item)]).await {
                        Ok(()) | Err(CommitError::ConditionFailed(_)) => Ok(()),
                        Err(error) => Err(Error::from(error)),
                    }
                })
                .buffer_unordered(PARALLEL_WRITES)
                .try_collect()
                .await
        })
    }

    async fn insert_batches(&self, items: Vec<Item>) -> Result<()> {
        let keys: Vec<Key> = items.iter().map(|item| item.key.clone()).collect();
        // A batch may name a key once only, so what is written counts as there.
        let mut there: HashSet<Key> = self.get_items(&keys).await?.into_iter().map(|item| item.key).collect();
        let missing = items.iter().filter(|item| there.insert(item.key.clone()));
        self.write_batches(missing.cloned().map(Write::Put).collect()).await
    }

    /// Deletes the items under `keys`, in no order and not as a whole; a repeat deletes what is left.
    pub fn delete_all<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.write_batches(keys.iter().cloned().map(Write::Delete).collect()))
    }

    async fn write_batches(&self, writes: Vec<Write>) -> Result<()> {
        let batches: Vec<Vec<Write>> = writes.chunks(MOST_WRITES).map(<[Write]>::to_vec).collect();
        stream::iter(batches)
            .map(|batch| async { self.backend.write_many(batch).await.map(drop) })
            .buffer_unordered(PARALLEL_WRITES)
            .try_collect()
            .await
    }
}

/// Returns whether what was committed is written: not if another request came first, where that is as well.
///
/// # Errors
/// That of the store.
pub(crate) fn was_written(outcome: Result<(), CommitError>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(CommitError::ConditionFailed(_) | CommitError::Contended) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// How often a read and its write are repeated when other requests write the same record.
pub const ATTEMPTS: u32 = 20;

/// Repeats `attempt`, which reads, decides and writes, until no other request came between its read and its write.
///
/// # Errors
/// [`Error::Unavailable`] if others always came first, or the error that `attempt` failed with.
pub async fn retry_on_conflict<T, Attempt: Future<Output = Result<T, CommitError>>>(
    attempt: impl Fn() -> Attempt,
) -> Result<T> {
    for repeat in 0..ATTEMPTS {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(CommitError::Failed(error)) => return Err(error),
            Err(CommitError::ConditionFailed(_) | CommitError::Contended) => {
                back_off(repeat).await;
            }
        }
    }
    Err(Error::Unavailable("too many requests write the same record".into()))
}

/// Counts a conflict, and waits a little before attempt `repeat` + 1, each time a different while, so that those who lost do not meet again.
pub async fn back_off(repeat: u32) {
    cost::add_conflict();
    let spread = u64::from(uuid::Uuid::new_v4().as_bytes()[0]) % (2 << repeat.min(6));
    tokio::time::sleep(std::time::Duration::from_millis(spread)).await;
}
