//! Writes: one conditional write, or one transaction of them.

use std::{collections::HashSet, time::Duration};

use crate::record::to_item;
use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, Delete, DeleteRequest, Put, PutRequest, ReturnConsumedCapacity, TransactWriteItem, WriteRequest,
    },
};
use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};

use super::{Item, Key, Record, Store, UNPROCESSED_RETRIES, cost, failure, table};
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

/// How many writes one `BatchWriteItem` takes.
const BATCH_WRITE: usize = 25;

const NOT_THERE: &str = "attribute_not_exists(pk)";
const SAME_VERSION: &str = "version = :version";

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
    pub fn commit(&self, mut writes: Vec<Write>) -> BoxFuture<'_, Result<(), CommitError>> {
        Box::pin(async move {
            match writes.len() {
                0 => Ok(()),
                1 => self.commit_one(writes.remove(0)).await,
                2..=LARGEST_TRANSACTION => self.commit_all(writes).await,
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
                    match self.commit_one(Write::Insert(item)).await {
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
        self.write_batches(missing.map(addition).collect::<Result<Vec<_>>>()?).await
    }

    /// Deletes the items under `keys`, in no order and not as a whole; a repeat deletes what is left.
    pub fn delete_all<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.write_batches(keys.iter().map(deletion).collect::<Result<Vec<_>>>()?).await })
    }

    async fn write_batches(&self, requests: Vec<WriteRequest>) -> Result<()> {
        let batches: Vec<Vec<WriteRequest>> = requests.chunks(BATCH_WRITE).map(<[WriteRequest]>::to_vec).collect();
        stream::iter(batches).map(|batch| self.write_batch(batch)).buffer_unordered(PARALLEL_WRITES).try_collect().await
    }

    async fn write_batch(&self, mut pending: Vec<WriteRequest>) -> Result<()> {
        for attempt in 0..=UNPROCESSED_RETRIES {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
            }
            let answer = self
                .client
                .batch_write_item()
                .request_items(&*self.table, pending)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| failure(&error))?;
            cost::add(&cost::Kind::Write, 0, answer.consumed_capacity.as_deref().unwrap_or_default());
            pending = answer.unprocessed_items.unwrap_or_default().remove(&*self.table).unwrap_or_default();
            if pending.is_empty() {
                return Ok(());
            }
        }
        Err(Error::Unavailable("writes were left unprocessed".into()))
    }

    async fn commit_one(&self, write: Write) -> Result<(), CommitError> {
        let total = ReturnConsumedCapacity::Total;
        let (condition, version) = condition(&write);
        let version = version.map(|version| [(":version".to_owned(), number(version))].into());
        let sent = match &write {
            Write::Insert(item) | Write::Replace(item) | Write::Put(item) => self
                .client
                .put_item()
                .table_name(&*self.table)
                .set_item(Some(to_item(item)?))
                .set_condition_expression(condition)
                .set_expression_attribute_values(version)
                .return_consumed_capacity(total)
                .send()
                .await
                .map(|answer| answer.consumed_capacity)
                .map_err(|error| (error.code() == Some(FAILED), failure(&error))),
            Write::Delete(key) | Write::DeleteVersion(key, _) => self
                .client
                .delete_item()
                .table_name(&*self.table)
                .set_key(Some(to_item(key)?))
                .set_condition_expression(condition)
                .set_expression_attribute_values(version)
                .return_consumed_capacity(total)
                .send()
                .await
                .map(|answer| answer.consumed_capacity)
                .map_err(|error| (error.code() == Some(FAILED), failure(&error))),
        };
        match sent {
            Ok(capacity) => {
                cost::add(&cost::Kind::Write, 0, capacity.as_slice());
                Ok(())
            }
            Err((refused, error)) => {
                cost::add(&cost::Kind::Write, 0, &[]);
                Err(if refused { CommitError::ConditionFailed(0) } else { CommitError::Failed(error) })
            }
        }
    }

    async fn commit_all(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        let mut request = self.client.transact_write_items().return_consumed_capacity(ReturnConsumedCapacity::Total);
        for write in &writes {
            request = request.transact_items(self.transact_item(write)?);
        }
        match request.send().await {
            Ok(answer) => {
                cost::add(&cost::Kind::Write, 0, answer.consumed_capacity.as_deref().unwrap_or_default());
                Ok(())
            }
            Err(error) => {
                cost::add(&cost::Kind::Write, 0, &[]);
                let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
                else {
                    return Err(CommitError::Failed(failure(&error)));
                };
                let reasons: Vec<&str> =
                    cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect();
                Err(cancellation(&reasons, || failure(&error)))
            }
        }
    }

    fn transact_item(&self, write: &Write) -> Result<TransactWriteItem> {
        let (condition, version) = condition(write);
        let version = version.map(|version| [(":version".to_owned(), number(version))].into());
        let wrong = |error: aws_sdk_dynamodb::error::BuildError| Error::Internal(error.to_string());
        let item = TransactWriteItem::builder();
        Ok(match write {
            Write::Insert(record) | Write::Replace(record) | Write::Put(record) => item.put(
                Put::builder()
                    .table_name(&*self.table)
                    .set_item(Some(to_item(record)?))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(version)
                    .build()
                    .map_err(wrong)?,
            ),
            Write::Delete(key) | Write::DeleteVersion(key, _) => item.delete(
                Delete::builder()
                    .table_name(&*self.table)
                    .set_key(Some(to_item(key)?))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(version)
                    .build()
                    .map_err(wrong)?,
            ),
        }
        .build())
    }
}

/// DynamoDB's code for a condition that was not met by a single write.
const FAILED: &str = "ConditionalCheckFailedException";

fn condition(write: &Write) -> (Option<String>, Option<u64>) {
    debug_assert_eq!(table::PARTITION, "pk", "the condition names the partition key");
    match write {
        Write::Insert(_) => (Some(NOT_THERE.into()), None),
        Write::Replace(item) => (Some(SAME_VERSION.into()), Some(item.version.saturating_sub(1))),
        Write::DeleteVersion(_, version) => (Some(SAME_VERSION.into()), Some(*version)),
        Write::Put(_) | Write::Delete(_) => (None, None),
    }
}

fn addition(item: &Item) -> Result<WriteRequest> {
    let request = PutRequest::builder().set_item(Some(to_item(item)?)).build();
    let request = request.map_err(|error| Error::Internal(error.to_string()))?;
    Ok(WriteRequest::builder().put_request(request).build())
}

fn deletion(key: &Key) -> Result<WriteRequest> {
    let request = DeleteRequest::builder().set_key(Some(to_item(key)?)).build();
    let request = request.map_err(|error| Error::Internal(error.to_string()))?;
    Ok(WriteRequest::builder().delete_request(request).build())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn cancellation(reasons: &[&str], failure: impl Fn() -> Error) -> CommitError {
    if let Some(place) = reasons.iter().position(|code| *code == "ConditionalCheckFailed") {
        return CommitError::ConditionFailed(place);
    }
    if reasons.contains(&"TransactionConflict") {
        return CommitError::Contended;
    }
    if reasons.iter().any(|code| matches!(*code, "ThrottlingError" | "ProvisionedThroughputExceeded")) {
        return CommitError::Failed(Error::Unavailable("the table is throttled".into()));
    }
    if reasons.iter().any(|code| matches!(*code, "ItemCollectionSizeLimitExceeded" | "ValidationError")) {
        return CommitError::Failed(Error::TooLarge(
            "The record is larger than the 400 KB that the store takes".into(),
        ));
    }
    CommitError::Failed(failure())
}

/// How many writes one transaction takes.
pub(crate) const LARGEST_TRANSACTION: usize = 100;

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
