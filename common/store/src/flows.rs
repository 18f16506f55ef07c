//! Flows in the table.

use super::{
    Added, By, CommitError, Entity, Key, Record, Store, Versioned,
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::model::{Flow, FlowId};
use error::Result;

crate::json_record!(Flow);

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

impl Entity for Flow {
    type Id = FlowId;

    fn key_of(id: FlowId) -> Key {
        table::flow(id)
    }

    fn claim(&self) -> Option<Key> {
        Some(table::unique_flow_name(&self.name))
    }
}

/// Names the flow called `name`.
pub fn called(name: &str) -> By<FlowId> {
    By::Claim(table::unique_flow_name(name))
}

impl Store {
    /// Reads the flow `id`.
    pub async fn flow(&self, id: FlowId) -> Result<Option<Versioned<Flow>>> {
        self.find(id).await
    }

    /// Reads the flow called `name`.
    pub async fn flow_by_name(&self, name: &str) -> Result<Option<Versioned<Flow>>> {
        self.find(called(name)).await
    }

    /// Adds `flow`, or returns the one that has its name already.
    pub async fn add_flow(&self, flow: Flow) -> Result<(Flow, Added)> {
        loop {
            if let Some(existing) = self.flow_by_name(&flow.name).await? {
                return Ok((existing.record, Added::Existed));
            }
            match self.commit(self.additions(&flow)?).await {
                Ok(()) => return Ok((flow, Added::Created)),
                // Another request took the name between our look and our write.
                Err(CommitError::ConditionFailed(_) | CommitError::Contended) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
