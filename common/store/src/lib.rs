//! The single table: the only place that knows its database.
//!
//! [`table`] says where everything is, and [`backend`] which operations a database has. This file reads by key, [`commit`]
//! writes, [`query`] reads in order, and one file per aggregate offers what handlers and services ask for.

pub mod access;
pub mod api_keys;
pub mod artifact_query;
pub mod artifacts;
pub mod automations;
pub mod backend;
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
mod held;
mod id_cache;
mod key;
pub mod late_runs;
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
pub mod sought;
pub mod states;
pub mod stream_probe;
pub mod table;
pub mod tag_limits;
pub mod tallies;
pub mod task_queue;
pub mod task_run_query;
pub mod task_runs;
pub mod task_workers;
pub mod timers;
pub mod triggers;
pub mod unique;
pub mod unreadable;
pub mod unstarted;
pub mod variables;
pub mod waiting_runs;
pub mod watches;
pub mod work_pools;
pub mod work_queues;
pub mod workers;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use access::TableAccess;
pub use backend::{Backend, Consistency};
use backend::{Counted, DynamoDb, Guarded, Image};
pub use commit::{CommitError, Write};
pub use entity::{Added, By, Entity};
use id_cache::IdCache;
pub use record::{Item, Record, Versioned};
pub use table::{Key, Shards};

use domain::{
    liveness::Liveness,
    model::{Timestamp, WorkPoolId},
};
use error::Result;

/// The table.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Arc<dyn Backend>,
    shards: Shards,
    run_retention: Option<f64>,
    liveness: Liveness,
    work_pool_ids: Arc<IdCache<WorkPoolId>>,
}

impl Store {
    /// Takes a client of DynamoDB, the table's name, and over how many shards its collections are spread.
    pub fn new(client: aws_sdk_dynamodb::Client, table: &str, shards: impl Into<Shards>) -> Self {
        Self::on(DynamoDb::new(client, table), shards)
    }

    /// Takes the database that the table is in, and over how many shards its collections are spread.
    pub fn on(backend: impl Backend + 'static, shards: impl Into<Shards>) -> Self {
        Self {
            backend: Arc::new(Counted::new(Arc::new(backend))),
            shards: shards.into(),
            run_retention: None,
            liveness: Liveness::default(),
            work_pool_ids: Arc::default(),
        }
    }

    /// Has the store refuse what the running operation has not declared, as its role in the cloud would.
    #[must_use]
    pub fn guarded(self) -> Self {
        Self { backend: Arc::new(Guarded::new(self.backend)), ..self }
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

    /// Says whether a write costs twice as much with others, all of them or none, as it does by itself.
    pub fn are_transactions_dear(&self) -> bool {
        self.backend.are_transactions_dear()
    }

    /// Returns over how many shards the table's collections are spread.
    pub fn shards(&self) -> Shards {
        self.shards
    }

    /// Makes the table if there is none; only for local databases, the template makes the real one.
    pub async fn create_table(&self) -> Result<()> {
        self.backend.create().await
    }

    /// Asks the database whether the table is there and takes reads and writes.
    pub async fn is_ready(&self) -> Result<bool> {
        self.backend.is_ready().await
    }

    /// Returns about how many items the table has, for showing progress alone; none if that is not known.
    pub async fn approximate_item_count(&self) -> Option<u64> {
        self.backend.approximate_item_count().await
    }

    /// Returns the items that a stream tells of by `images`, in their order; none for one of which a part is gone.
    pub async fn as_told(&self, images: Vec<Image>) -> Result<Vec<Option<Item>>> {
        Ok(self.backend.as_told(images).await?.0)
    }

    /// Reads the item under `key`, strongly consistent.
    pub fn get_item<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Item>>> {
        Box::pin(async move {
            let (items, _) = self.backend.get(&[key], Consistency::Strong).await?;
            Ok(items.into_iter().next())
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
            let batches = distinct.chunks(backend::MOST_KEYS).map(|batch| self.backend.get(batch, consistency));
            let found: std::collections::HashMap<Key, Item> = futures::future::try_join_all(batches)
                .await?
                .into_iter()
                .flat_map(|(items, _)| items)
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
}

fn versioned<R: Record>(items: &[Item]) -> Vec<Versioned<R>> {
    let readable = |item: &Item| Some(Versioned { record: item.readable()?, version: item.version });
    items.iter().filter_map(readable).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use embedded::EmbeddedDatabase;

    use super::{cost::measured, *};
    use domain::model::{Flow, FlowId};

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
