//! Flows in the table.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    CommitError, Item, Key, Record, Store, Versioned, Write,
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::model::{Flow, FlowId, Timestamp};
use error::Result;

impl Record for Flow {
    const HEAD: &'static [&'static str] = &["id", "created", "updated", "name", "tags"];

    fn key(&self) -> Key {
        table::flow(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let pk = shards.of(Collection::Flows, self.id.0);
        vec![
            IndexKey { index: Index::ByName, pk: pk.clone(), sk: table::sort_with_id(&self.name, self.id) },
            IndexKey { index: Index::Lookup, pk, sk: table::sort_with_id(&self.created.sortable(), self.id) },
        ]
    }
}

impl Store {
    /// Reads the flow `id`.
    pub async fn flow(&self, id: FlowId) -> Result<Option<Versioned<Flow>>> {
        self.get(&table::flow(id)).await
    }

    /// Reads the flow called `name`.
    pub async fn flow_by_name(&self, name: &str) -> Result<Option<Versioned<Flow>>> {
        match self.owner(&table::unique_flow_name(name)).await? {
            Some(id) => self.flow(id.into()).await,
            None => Ok(None),
        }
    }

    /// Adds `flow`, or returns the one that has its name already.
    pub async fn add_flow(&self, flow: Flow) -> Result<(Flow, Added)> {
        loop {
            if let Some(existing) = self.flow_by_name(&flow.name).await? {
                return Ok((existing.record, Added::Existed));
            }
            let writes = vec![self.insert(&flow)?, self.claim(table::unique_flow_name(&flow.name), flow.id)?];
            match self.commit(writes).await {
                Ok(()) => return Ok((flow, Added::Created)),
                // Another request took the name between our look and our write.
                Err(CommitError::ConditionFailed(_) | CommitError::Contended) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Replaces a flow that was read at `version`.
    pub async fn update_flow(&self, flow: &Flow, version: u64) -> Result<(), CommitError> {
        self.commit(vec![self.replace(flow, version)?]).await
    }

    /// Deletes the flow `id`; returns whether there was one.
    ///
    /// Its runs are deleted, and the event of its deletion is emitted, by the consumer of the table's stream.
    pub async fn delete_flow(&self, id: FlowId) -> Result<bool> {
        let Some(flow) = self.flow(id).await? else { return Ok(false) };
        let claim = table::unique_flow_name(&flow.record.name);
        let deleted = DeletedFlow { flow: flow.record, deleted: Timestamp::now() };
        let mut notice = Item::of(&deleted, 1, self.shards())?;
        notice.expires = Some(deleted.deleted.plus(NOTICE_KEPT).as_seconds());
        self.commit(vec![Write::Delete(table::flow(id)), Write::Delete(claim), Write::Put(notice)]).await?;
        Ok(true)
    }
}

/// How long a deleted flow is remembered: as long as DynamoDB keeps what its stream has to tell.
const NOTICE_KEPT: Duration = Duration::from_hours(24);

/// What is kept of a deleted flow for the stream's consumer, because the stream tells no more of it than its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedFlow {
    /// The flow as it was last.
    pub flow: Flow,
    /// When it was deleted.
    pub deleted: Timestamp,
}

impl Record for DeletedFlow {
    const HEAD: &'static [&'static str] = &["deleted"];

    fn key(&self) -> Key {
        table::deleted_flow(self.flow.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// Whether a create made a record or found one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// The record is new.
    Created,
    /// The record was there before, under the same name or key.
    Existed,
}
