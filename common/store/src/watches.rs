//! What watches over service level agreements ([`services::service_levels`]): when the server looks at a run or a deployment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    CommitError, Key, Record, Store, Versioned,
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::model::{DeploymentId, FlowRunId, Timestamp};

/// When the server looks whether a flow run keeps to the agreements of its deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowRunWatch {
    /// The flow run.
    pub flow_run: FlowRunId,
    /// When it looks next, if nothing happens before.
    #[serde(default)]
    pub due: Option<Timestamp>,
}

crate::json_record!(FlowRunWatch);

impl Record for FlowRunWatch {
    const HEAD: &'static [&'static str] = &["due"];

    fn key(&self) -> Key {
        table::flow_run_watch(self.flow_run)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        place(self.due, self.flow_run.0, shards)
    }
}

/// What is known of the agreements that a deployment's runs keep to together, and when the server looks next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeploymentWatch {
    /// The deployment.
    pub deployment: DeploymentId,
    /// When the last run that completed did so.
    #[serde(default)]
    pub completed: Option<Timestamp>,
    /// When the events that are expected last happened, by the agreement's name.
    #[serde(default)]
    pub seen: BTreeMap<String, Timestamp>,
    /// When the server looks next, if nothing happens before.
    #[serde(default)]
    pub due: Option<Timestamp>,
}

impl DeploymentWatch {
    /// Makes the watch over a deployment of which nothing is known yet.
    pub fn new(deployment: DeploymentId) -> Self {
        Self { deployment, completed: None, seen: BTreeMap::new(), due: None }
    }
}

crate::json_record!(DeploymentWatch);

impl Record for DeploymentWatch {
    const HEAD: &'static [&'static str] = &["due"];

    fn key(&self) -> Key {
        table::deployment_watch(self.deployment)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        place(self.due, self.deployment.0, shards)
    }
}

fn place(due: Option<Timestamp>, id: Uuid, shards: Shards) -> Vec<IndexKey> {
    let sort_key = due.map(|due| table::sort_with_id(&due.sortable(), id));
    let place = |sk| IndexKey { index: Index::Related, pk: shards.of(Collection::Timers, id), sk };
    sort_key.map(place).into_iter().collect()
}

impl Store {
    /// Puts the watch `after` in the place of `before`, if that is still there as it was read; nothing if both are alike.
    ///
    /// A watch stays when there is nothing to look at any more, so that its version tells every change of it.
    pub async fn rewatch<W: Record + PartialEq>(
        &self,
        before: Option<Versioned<W>>,
        after: &W,
    ) -> Result<(), CommitError> {
        let write = match before {
            None => self.insert(after)?,
            Some(before) if before.record == *after => return Ok(()),
            Some(before) => self.replace(after, before.version)?,
        };
        self.commit(vec![write]).await
    }
}
