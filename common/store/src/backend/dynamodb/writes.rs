//! Writes of DynamoDB: one with its condition, a transaction of several, and many without conditions.
//!
//! The parts of long texts are written before the items that name them ([`super::bodies`]).

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, Delete, DeleteRequest, Put, PutRequest, ReturnConsumedCapacity, TransactWriteItem, WriteRequest,
    },
};

use super::{
    DynamoDb, UNPROCESSED_RETRIES,
    attempts::Attempts,
    attributes::{Attributes, units, written},
    bodies::{Encoded, encode},
    failure,
    failure::cancellation,
};
use crate::{
    CommitError, Write,
    backend::{Spent, check_sizes},
    table,
};
use error::{Error, Result};

const NOT_THERE: &str = "attribute_not_exists(pk)";
const SAME_VERSION: &str = "version = :version";

/// DynamoDB's code for a condition that was not met by a single write.
const FAILED: &str = "ConditionalCheckFailedException";

/// DynamoDB's code for an item that a transaction holds.
const CONTENDED: &str = "TransactionConflictException";

/// A write as DynamoDB takes it.
#[derive(Debug)]
struct Prepared {
    what: What,
    condition: Option<&'static str>,
    /// The version in the condition.
    version: Option<Attributes>,
    /// What is to be there before it.
    parts: Vec<Attributes>,
}

#[derive(Debug)]
enum What {
    Put(Attributes),
    Delete(Attributes),
}

impl Prepared {
    fn new(write: Write) -> Result<Self> {
        debug_assert_eq!(table::PARTITION, "pk", "the condition names the partition key");
        let (condition, version) = match &write {
            Write::Insert(_) => (Some(NOT_THERE), None),
            Write::Replace(item) => (Some(SAME_VERSION), Some(item.version.saturating_sub(1))),
            Write::DeleteVersion(_, version) => (Some(SAME_VERSION), Some(*version)),
            Write::Put(_) | Write::Delete(_) => (None, None),
        };
        let version = version.map(|version| [(":version".to_owned(), AttributeValue::N(version.to_string()))].into());
        let (what, parts) = match write {
            Write::Insert(item) | Write::Replace(item) | Write::Put(item) => {
                let Encoded { attributes, parts } = encode(&item)?;
                (What::Put(attributes), parts)
            }
            Write::Delete(key) | Write::DeleteVersion(key, _) => (What::Delete(written(&key)?), Vec::new()),
        };
        Ok(Self { what, condition, version, parts })
    }

    /// Prepares `writes`; returns them with the parts that come before them.
    fn all(writes: Vec<Write>) -> Result<(Vec<Self>, Vec<Attributes>)> {
        check_sizes(&writes)?;
        let mut prepared = writes.into_iter().map(Self::new).collect::<Result<Vec<_>>>()?;
        let parts = prepared.iter_mut().flat_map(|write| std::mem::take(&mut write.parts)).collect();
        Ok((prepared, parts))
    }
}

impl DynamoDb {
    /// Carries out all of `writes` or none.
    pub(super) async fn write_together(&self, writes: Vec<Write>) -> Result<Spent, CommitError> {
        let (mut writes, parts) = Prepared::all(writes)?;
        let before = if parts.is_empty() { Spent::default() } else { self.put_parts(&parts).await? };
        let attempts = Attempts::default();
        let outcome = match writes.pop() {
            None => return Ok(before),
            Some(only) if writes.is_empty() => self.write_one(only, attempts.clone()).await,
            Some(last) => {
                writes.push(last);
                self.write_all(writes, attempts.clone()).await
            }
        };
        match outcome {
            Ok(spent) => Ok(spent.and(before)),
            Err(error) => {
                let has_failed = match &error {
                    CommitError::Failed(error) => !error.is_passing(),
                    // A call that the SDK has repeated may have met what it had written itself.
                    CommitError::ConditionFailed(_) | CommitError::Contended => attempts.is_single(),
                };
                if has_failed && !parts.is_empty() {
                    self.discard(&parts).await;
                }
                Err(error)
            }
        }
    }

    async fn write_one(&self, write: Prepared, attempts: Attempts) -> Result<Spent, CommitError> {
        let total = ReturnConsumedCapacity::Total;
        let Prepared { what, condition, version, .. } = write;
        let condition = condition.map(str::to_owned);
        let sent = match what {
            What::Put(item) => self
                .client
                .put_item()
                .table_name(&*self.table)
                .set_item(Some(item))
                .set_condition_expression(condition)
                .set_expression_attribute_values(version)
                .return_consumed_capacity(total)
                .customize()
                .interceptor(attempts)
                .send()
                .await
                .map(|answer| answer.consumed_capacity)
                .map_err(|error| (error.code().map(str::to_owned), failure(&error))),
            What::Delete(key) => self
                .client
                .delete_item()
                .table_name(&*self.table)
                .set_key(Some(key))
                .set_condition_expression(condition)
                .set_expression_attribute_values(version)
                .return_consumed_capacity(total)
                .customize()
                .interceptor(attempts)
                .send()
                .await
                .map(|answer| answer.consumed_capacity)
                .map_err(|error| (error.code().map(str::to_owned), failure(&error))),
        };
        match sent {
            Ok(capacity) => Ok(Spent::once(units(capacity.as_slice()))),
            Err((code, error)) => Err(match code.as_deref() {
                Some(FAILED) => CommitError::ConditionFailed(0),
                Some(CONTENDED) => CommitError::Contended,
                _ => CommitError::Failed(error),
            }),
        }
    }

    async fn write_all(&self, writes: Vec<Prepared>, attempts: Attempts) -> Result<Spent, CommitError> {
        let mut request = self.client.transact_write_items().return_consumed_capacity(ReturnConsumedCapacity::Total);
        for write in writes {
            request = request.transact_items(self.transact_item(write)?);
        }
        match request.customize().interceptor(attempts).send().await {
            Ok(answer) => Ok(Spent::once(units(answer.consumed_capacity.as_deref().unwrap_or_default()))),
            Err(error) => {
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

    /// Carries out `writes` without conditions, not as a whole.
    ///
    /// Where it fails, some of them may be carried out, so that their parts stay.
    pub(super) async fn write_batch(&self, writes: Vec<Write>) -> Result<Spent> {
        let (writes, parts) = Prepared::all(writes)?;
        let mut spent = self.put_parts(&parts).await?;
        let mut pending = writes.into_iter().map(write_request).collect::<Result<Vec<_>>>()?;
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
            spent = spent.and(Spent::once(units(answer.consumed_capacity.as_deref().unwrap_or_default())));
            pending = answer.unprocessed_items.unwrap_or_default().remove(&*self.table).unwrap_or_default();
            if pending.is_empty() {
                return Ok(spent);
            }
        }
        Err(Error::Unavailable("writes were left unprocessed".into()))
    }

    fn transact_item(&self, write: Prepared) -> Result<TransactWriteItem> {
        let Prepared { what, condition, version, .. } = write;
        let condition = condition.map(str::to_owned);
        let wrong = |error: aws_sdk_dynamodb::error::BuildError| Error::Internal(error.to_string());
        let item = TransactWriteItem::builder();
        Ok(match what {
            What::Put(record) => item.put(
                Put::builder()
                    .table_name(&*self.table)
                    .set_item(Some(record))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(version)
                    .build()
                    .map_err(wrong)?,
            ),
            What::Delete(key) => item.delete(
                Delete::builder()
                    .table_name(&*self.table)
                    .set_key(Some(key))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(version)
                    .build()
                    .map_err(wrong)?,
            ),
        }
        .build())
    }
}

/// Turns a write without a condition into one of a batch.
fn write_request(write: Prepared) -> Result<WriteRequest> {
    let wrong = |error: aws_sdk_dynamodb::error::BuildError| Error::Internal(error.to_string());
    if write.condition.is_some() {
        return Err(Error::Internal("a write of a batch has no condition".into()));
    }
    let request = WriteRequest::builder();
    Ok(match write.what {
        What::Put(item) => request.put_request(PutRequest::builder().set_item(Some(item)).build().map_err(wrong)?),
        What::Delete(key) => {
            request.delete_request(DeleteRequest::builder().set_key(Some(key)).build().map_err(wrong)?)
        }
    }
    .build())
}
