//! The single table: the only place that knows DynamoDB.
//!
//! [`table`] says where everything is. This file makes single calls, [`commit`] writes, [`query`] reads in order,
//! and one file per aggregate offers what handlers and services ask for.

pub mod access;
pub mod api_keys;
pub mod artifact_query;
pub mod artifacts;
pub mod automations;
pub mod block_documents;
pub mod block_schemas;
pub mod block_types;
pub mod bulk_operations;
pub mod check;
pub mod cleanup_messages;
pub mod commit;
pub mod concurrency_limits;
pub mod connections;
pub mod cost;
pub mod csrf_tokens;
pub mod data_keys;
pub mod dead_letters;
pub mod definition;
pub mod deployment_polling;
mod deployment_query;
pub mod deployments;
pub mod entity;
pub mod event_query;
pub mod events;
pub mod flow_query;
pub mod flow_run_graph;
pub mod flow_run_inputs;
pub mod flow_run_query;
pub mod flow_runs;
pub mod flows;
pub mod heartbeats;
mod id_cache;
mod key;
pub mod leases;
pub mod listeners;
mod log_chunks;
pub mod logs;
pub mod observed_states;
pub mod occupancy;
pub mod query;
pub mod record;
mod relations;
pub mod result_storage;
pub mod saved_searches;
pub mod scheduling;
pub mod schema;
pub mod select;
mod shards;
pub mod slots;
pub mod states;
pub mod stream_probe;
pub mod table;
pub mod tag_limits;
pub mod task_queue;
pub mod task_run_query;
pub mod task_runs;
pub mod task_workers;
pub mod timers;
pub mod triggers;
pub mod unique;
pub mod unreadable;
pub mod variables;
pub mod waiting_runs;
pub mod watches;
pub mod work_pools;
pub mod work_queues;
pub mod workers;

use std::{error::Error as _, sync::Arc, time::Duration};

use crate::record::to_item;
use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
    types::{KeysAndAttributes, ReturnConsumedCapacity, TimeToLiveSpecification},
};
use futures::future::BoxFuture;

pub use access::TableAccess;
pub use commit::{CommitError, Write};
pub use entity::{Added, By, Entity};
use id_cache::IdCache;
pub use record::{Item, Record, Versioned};
pub use table::{Key, Shards};

use domain::{
    liveness::Liveness,
    model::{Timestamp, WorkPoolId},
};
use error::{Error, Result};

/// How many keys one `BatchGetItem` takes.
const BATCH_GET: usize = 100;

/// How often an answer with unprocessed keys is asked again before the store counts as unavailable.
const UNPROCESSED_RETRIES: u32 = 6;

/// Whether a read sees every write before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consistency {
    Strong,
    /// What was written within the last second or so may be missing, for half the units.
    Eventual,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: Arc<str>,
    shards: Shards,
    run_retention: Option<f64>,
    liveness: Liveness,
    work_pool_ids: Arc<IdCache<WorkPoolId>>,
}

impl Store {
    /// Takes a client of DynamoDB, the table's name, and over how many shards its collections are spread.
    pub fn new(client: Client, table: &str, shards: impl Into<Shards>) -> Self {
        Self {
            client,
            table: table.into(),
            shards: shards.into(),
            run_retention: None,
            liveness: Liveness::default(),
            work_pool_ids: Arc::default(),
        }
    }

    /// Has flow runs deleted so many seconds after they have ended.
    #[must_use]
    pub fn keeping_runs_for(self, run_retention: Option<f64>) -> Self {
        Self { run_retention, ..self }
    }

    /// Has the server act on the silence of workers and pollers as `liveness` says.
    #[must_use]
    pub fn watched_by(self, liveness: Liveness) -> Self {
        Self { liveness, ..self }
    }

    /// Turns `record` into an item of the given version, which is deleted when the record's time has come.
    pub fn item<R: Record>(&self, record: &R, version: u64) -> Result<Item> {
        let mut item = Item::of(record, version, self.shards)?;
        item.expires = self.run_retention.and_then(|retention| record.expires(retention)).map(Timestamp::as_seconds);
        Ok(item)
    }

    /// Returns over how many shards the table's collections are spread.
    pub fn shards(&self) -> Shards {
        self.shards
    }

    /// Makes the table if there is none; only for local databases, the template makes the real one.
    pub async fn create_table(&self) -> Result<()> {
        let request = definition::definition(&self.client, &self.table)
            .map_err(|error| Error::Internal(format!("the table's definition is wrong: {error}")))?;
        match request.send().await {
            Ok(_) => {}
            Err(error) if error.code() == Some("ResourceInUseException") => return Ok(()),
            Err(error) => return Err(failure(&error)),
        }
        let expiry = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(table::EXPIRES)
            .build()
            .map_err(|error| Error::Internal(error.to_string()))?;
        self.client
            .update_time_to_live()
            .table_name(&*self.table)
            .time_to_live_specification(expiry)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        Ok(())
    }

    /// Asks DynamoDB whether the table is there and active.
    pub async fn is_ready(&self) -> Result<bool> {
        let answer =
            self.client.describe_table().table_name(&*self.table).send().await.map_err(|error| failure(&error))?;
        let status = answer.table().and_then(|table| table.table_status());
        Ok(status == Some(&aws_sdk_dynamodb::types::TableStatus::Active))
    }

    /// Returns about how many items the table has; none if that is not known, or not for the caller to know.
    ///
    /// DynamoDB counts anew every six hours. It is for showing progress alone.
    pub async fn approximate_item_count(&self) -> Option<u64> {
        let described = self.client.describe_table().table_name(&*self.table).send().await.ok()?;
        described.table()?.item_count()?.try_into().ok()
    }

    /// Reads the item under `key`, strongly consistent.
    pub fn get_item<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Item>>> {
        Box::pin(async move {
            let answer = self
                .client
                .get_item()
                .table_name(&*self.table)
                .set_key(Some(to_item(key)?))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| failure(&error))?;
            cost::add(&cost::Kind::Read, usize::from(answer.item.is_some()), answer.consumed_capacity.as_slice());
            answer.item.map(Item::read).transpose()
        })
    }

    /// Reads the record under `key`, strongly consistent.
    pub async fn get<R: Record>(&self, key: &Key) -> Result<Option<Versioned<R>>> {
        self.get_item(key).await?.map(|item| item.versioned()).transpose()
    }

    /// Reads the items under `keys`, strongly consistent, in the order of the keys and without the missing ones.
    pub fn get_items<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Item>>> {
        Box::pin(async move { self.get_items_as(keys, Consistency::Strong).await })
    }

    fn get_items_as<'a>(&'a self, keys: &'a [Key], consistency: Consistency) -> BoxFuture<'a, Result<Vec<Item>>> {
        Box::pin(async move {
            let mut distinct: Vec<&Key> = Vec::with_capacity(keys.len());
            let mut seen = std::collections::HashSet::with_capacity(keys.len());
            distinct.extend(keys.iter().filter(|key| seen.insert(*key)));
            let batches = distinct.chunks(BATCH_GET).map(|batch| self.get_batch(batch, consistency));
            let found: std::collections::HashMap<Key, Item> = futures::future::try_join_all(batches)
                .await?
                .into_iter()
                .flatten()
                .map(|item| (item.key.clone(), item))
                .collect();
            Ok(keys.iter().filter_map(|key| found.get(key).cloned()).collect())
        })
    }

    /// Reads the records under `keys`, in the order of the keys and without the missing ones.
    ///
    /// One that can't be read is left out and reported.
    pub async fn get_many<R: Record>(&self, keys: &[Key]) -> Result<Vec<Versioned<R>>> {
        Ok(versioned(&self.get_items(keys).await?))
    }

    /// Reads the records under `keys`, in the order of the keys and without the missing ones.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if one can't be read: for what decides about others, such as limits.
    pub async fn get_all<R: Record>(&self, keys: &[Key]) -> Result<Vec<Versioned<R>>> {
        self.get_items(keys).await?.iter().map(Item::versioned).collect()
    }

    /// Reads records whose last change need not be seen at once, in no order and without the missing ones, at half the cost.
    ///
    /// What is not found is looked for again, strongly consistent: it may have been added a moment ago.
    pub async fn get_many_settled<R: Record>(&self, keys: &[Key]) -> Result<Vec<Versioned<R>>> {
        let mut found = self.get_items_as(keys, Consistency::Eventual).await?;
        let missing: Vec<Key> = keys.iter().filter(|key| found.iter().all(|item| item.key != **key)).cloned().collect();
        found.extend(self.get_items(&missing).await?);
        Ok(versioned(&found))
    }

    async fn get_batch(&self, keys: &[&Key], consistency: Consistency) -> Result<Vec<Item>> {
        let mut items = Vec::with_capacity(keys.len());
        let mut pending = keys.iter().map(to_item).collect::<Result<Vec<_>, _>>()?;
        for attempt in 0..=UNPROCESSED_RETRIES {
            if pending.is_empty() {
                return Ok(items);
            }
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
            }
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut pending)))
                .consistent_read(consistency == Consistency::Strong)
                .build()
                .map_err(|error| Error::Internal(error.to_string()))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&*self.table, wanted)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| failure(&error))?;
            let found = answer.responses.unwrap_or_default().remove(&*self.table).unwrap_or_default();
            cost::add(&cost::Kind::Read, found.len(), answer.consumed_capacity.as_deref().unwrap_or_default());
            for item in found {
                items.push(Item::read(item)?);
            }
            let rest = answer.unprocessed_keys.unwrap_or_default().remove(&*self.table);
            pending = rest.map(|rest| rest.keys).unwrap_or_default();
        }
        if pending.is_empty() { Ok(items) } else { Err(Error::Unavailable("keys were left unprocessed".into())) }
    }
}

/// The codes with which DynamoDB says "not now": a repeat may succeed.
const PASSING: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "InternalServerError",
    "TransactionInProgressException",
    "TransactionConflictException",
    "ReplicatedWriteConflictException",
    "LimitExceededException",
];

/// Turns what the SDK says into our error.
fn failure<E, R>(error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let message = message(error);
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let said = service.err().message().unwrap_or_default();
            if PASSING.contains(&code) {
                Error::Unavailable(message)
            } else if code == "ValidationException" && is_about_size(said) {
                Error::TooLarge("The record is larger than the 400 KB that the store takes".into())
            } else {
                Error::Internal(message)
            }
        }
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            Error::Unavailable(message)
        }
        _ => Error::Internal(message),
    }
}

fn versioned<R: Record>(items: &[Item]) -> Vec<Versioned<R>> {
    let readable = |item: &Item| Some(Versioned { record: item.readable()?, version: item.version });
    items.iter().filter_map(readable).collect()
}

/// Says in one line what failed, without the answer itself, which may have records in it.
fn message<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    if let SdkError::ServiceError(service) = error
        && let Some(code) = service.err().code()
    {
        let said = service.err().message().unwrap_or("without a message");
        let request = service.err().meta().request_id().map(|id| format!(" (request {id})")).unwrap_or_default();
        return format!("{code}: {said}{request}");
    }
    let sources = std::iter::successors(error.source(), |source| (**source).source());
    sources.fold(error.to_string(), |told, source| format!("{told}: {source}"))
}

/// Recognises DynamoDB's words for items, transactions and requests over its limits.
fn is_about_size(message: &str) -> bool {
    message.contains("Item size") || message.contains("item size") || message.contains("exceeded the maximum")
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;

    use super::{cost::measured, *};
    use domain::model::{Flow, FlowId};

    #[tokio::test]
    async fn a_failure_is_told_in_one_line_without_the_answer() {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(Client::from_conf(config), "proctor-records", Shards(1));
        let Err(Error::Internal(told)) = store.is_ready().await else { panic!("there is no table") };
        assert!(told.starts_with("ResourceNotFoundException: "), "{told}");
        assert!(!told.contains('\n') && !told.contains("Response {") && !told.contains("SdkBody"), "{told}");
        assert_eq!(store.approximate_item_count().await, None);
        store.create_table().await.unwrap();
        assert_eq!(store.approximate_item_count().await, Some(0));
    }

    #[tokio::test]
    async fn what_is_settled_is_read_at_half_the_cost_and_what_is_missing_again() {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(Client::from_conf(config), "proctor-records", Shards(1));
        store.create_table().await.unwrap();
        let (flow, _) = store.add_flow(Flow::new(FlowId::new(), "flow", Timestamp::now())).await.unwrap();
        let (there, gone) = (table::flow(flow.id), table::flow(FlowId::new()));
        for (keys, round_trips, read_units) in [(vec![there.clone()], 1, 0.5), (vec![gone, there], 2, 2.0)] {
            let (found, cost) = measured(store.get_many_settled::<Flow>(&keys)).await;
            let found: Vec<FlowId> = found.unwrap().into_iter().map(|found| found.record.id).collect();
            assert_eq!(found, [flow.id]);
            assert_eq!((cost.round_trips, cost.read_units), (round_trips, read_units));
        }
    }
}
