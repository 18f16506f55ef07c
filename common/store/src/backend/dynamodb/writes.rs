//! Writes of DynamoDB: one with its condition, a transaction of several, and many without conditions.

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
    attributes::{units, written, written_item},
    failure,
    failure::cancellation,
};
use crate::{CommitError, Write, backend::Spent, table};
use error::{Error, Result};

const NOT_THERE: &str = "attribute_not_exists(pk)";
const SAME_VERSION: &str = "version = :version";

/// DynamoDB's code for a condition that was not met by a single write.
const FAILED: &str = "ConditionalCheckFailedException";

/// DynamoDB's code for an item that a transaction holds.
const CONTENDED: &str = "TransactionConflictException";

impl DynamoDb {
    pub(super) async fn write_one(&self, write: Write) -> Result<Spent, CommitError> {
        let total = ReturnConsumedCapacity::Total;
        let (condition, version) = condition(&write);
        let version = version.map(|version| [(":version".to_owned(), number(version))].into());
        let sent = match &write {
            Write::Insert(item) | Write::Replace(item) | Write::Put(item) => self
                .client
                .put_item()
                .table_name(&*self.table)
                .set_item(Some(written_item(item)?))
                .set_condition_expression(condition)
                .set_expression_attribute_values(version)
                .return_consumed_capacity(total)
                .send()
                .await
                .map(|answer| answer.consumed_capacity)
                .map_err(|error| (error.code().map(str::to_owned), failure(&error))),
            Write::Delete(key) | Write::DeleteVersion(key, _) => self
                .client
                .delete_item()
                .table_name(&*self.table)
                .set_key(Some(written(key)?))
                .set_condition_expression(condition)
                .set_expression_attribute_values(version)
                .return_consumed_capacity(total)
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

    pub(super) async fn write_all(&self, writes: Vec<Write>) -> Result<Spent, CommitError> {
        let mut request = self.client.transact_write_items().return_consumed_capacity(ReturnConsumedCapacity::Total);
        for write in &writes {
            request = request.transact_items(self.transact_item(write)?);
        }
        match request.send().await {
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

    pub(super) async fn write_batch(&self, writes: Vec<Write>) -> Result<Spent> {
        let (mut pending, mut spent) = (Vec::with_capacity(writes.len()), Spent::default());
        for write in &writes {
            pending.push(write_request(write)?);
        }
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
            spent.round_trips += 1;
            spent.units += units(answer.consumed_capacity.as_deref().unwrap_or_default());
            pending = answer.unprocessed_items.unwrap_or_default().remove(&*self.table).unwrap_or_default();
            if pending.is_empty() {
                return Ok(spent);
            }
        }
        Err(Error::Unavailable("writes were left unprocessed".into()))
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
                    .set_item(Some(written_item(record)?))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(version)
                    .build()
                    .map_err(wrong)?,
            ),
            Write::Delete(key) | Write::DeleteVersion(key, _) => item.delete(
                Delete::builder()
                    .table_name(&*self.table)
                    .set_key(Some(written(key)?))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(version)
                    .build()
                    .map_err(wrong)?,
            ),
        }
        .build())
    }
}

fn condition(write: &Write) -> (Option<String>, Option<u64>) {
    debug_assert_eq!(table::PARTITION, "pk", "the condition names the partition key");
    match write {
        Write::Insert(_) => (Some(NOT_THERE.into()), None),
        Write::Replace(item) => (Some(SAME_VERSION.into()), Some(item.version.saturating_sub(1))),
        Write::DeleteVersion(_, version) => (Some(SAME_VERSION.into()), Some(*version)),
        Write::Put(_) | Write::Delete(_) => (None, None),
    }
}

/// Turns a write without a condition into one of a batch.
fn write_request(write: &Write) -> Result<WriteRequest> {
    let wrong = |error: aws_sdk_dynamodb::error::BuildError| Error::Internal(error.to_string());
    let request = WriteRequest::builder();
    Ok(match write {
        Write::Put(item) => {
            request.put_request(PutRequest::builder().set_item(Some(written_item(item)?)).build().map_err(wrong)?)
        }
        Write::Delete(key) => {
            request.delete_request(DeleteRequest::builder().set_key(Some(written(key)?)).build().map_err(wrong)?)
        }
        _ => return Err(Error::Internal("a write of a batch has no condition".into())),
    }
    .build())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
