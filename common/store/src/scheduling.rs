//! The deployments whose schedules are looked at, by when, and the runs that are made then.

use std::collections::BTreeMap;

use super::{
    Item, Key, Store, Write,
    commit::CommitError,
    query::Range,
    table::{self, Collection, Index, Subject},
    unique::Claim,
};
use domain::model::{Deployment, DeploymentId, FlowId, FlowRun, FlowRunId, Timestamp};
use error::Result;

/// How many items the runs written at once may be, with the deployment: those of one transaction.
const ITEMS: usize = super::backend::LARGEST_TRANSACTION;

/// How many bytes of JSON the runs written at once may be: a transaction takes 4 MB (AWS: "`TransactWriteItems`").
const BYTES: usize = 3_000_000;

/// A run that a schedule makes, ready to be written.
#[derive(Debug)]
pub struct ScheduledRun {
    writes: Vec<Write>,
    bytes: usize,
}

impl Store {
    /// Returns the partitions that the deployments with active schedules are spread over.
    pub fn scheduling_partitions(&self) -> Vec<String> {
        self.shards().all(Collection::Scheduling)
    }

    /// Reads the first deployments of a partition whose schedules are to be looked at until `until`, `limit` at most.
    pub async fn deployments_to_schedule(
        &self,
        partition: &str,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<DeploymentId>> {
        let range = Range::of_index(Index::Related, partition).between(None, Some(until.sortable()));
        let found = self.read(range, limit).more().await?.unwrap_or_default();
        let id = |item: &Item| match Subject::of(&item.key) {
            Some(Subject::Deployment(id)) => Some(id),
            _ => None,
        };
        Ok(found.iter().take(limit).filter_map(id).collect())
    }

    /// Returns those of the idempotency keys that runs of `flow` have, by the places of their claims, with the runs' ids.
    pub async fn taken_keys(&self, flow: FlowId, keys: &[String]) -> Result<BTreeMap<Key, FlowRunId>> {
        let keys: Vec<Key> = keys.iter().map(|key| table::unique_flow_run(flow, key)).collect();
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let claims = self.get_items(&keys).await?;
        claims.into_iter().map(|item| Ok((item.key.clone(), item.record::<Claim>()?.owner.into()))).collect()
    }

    /// Returns what writes a run in its first state, with its claim on its idempotency key.
    ///
    /// As Prefect's scheduler does, it enters the state past the rules, and no event tells of it.
    pub fn scheduled_run(&self, run: &FlowRun, timer: Option<Timestamp>) -> Result<ScheduledRun> {
        let mut run = run.clone();
        let mut writes = self.remember_state(&mut run, None, timer)?;
        let item = self.item(&run, 1)?;
        let bytes = [&item.head, &item.tail].into_iter().flatten().map(String::len).sum::<usize>() + 1_000;
        writes.push(Write::Insert(item));
        if let Some(key) = &run.idempotency_key {
            writes.push(self.claim(table::unique_flow_run(run.flow_id, key), run.id)?);
        }
        Ok(ScheduledRun { writes, bytes })
    }

    /// Counts how many of `runs`, from the first on, are written at once.
    pub fn written_at_once(runs: &[ScheduledRun]) -> usize {
        let (mut items, mut bytes) = (1, 0);
        let fitting = runs.iter().take_while(|run| {
            items += run.writes.len();
            bytes += run.bytes;
            items <= ITEMS && bytes <= BYTES
        });
        // A run that is too large by itself is refused by the store.
        fitting.count().max(1).min(runs.len())
    }

    /// Writes runs of a deployment, unless it was changed since it was read at `version`; it is `after` then.
    ///
    /// So no run is made by a schedule that was changed or paused before.
    pub async fn add_scheduled_runs(
        &self,
        runs: Vec<ScheduledRun>,
        after: &Deployment,
        version: u64,
    ) -> Result<(), CommitError> {
        let mut writes = vec![self.replace(after, version)?];
        writes.extend(runs.into_iter().flat_map(|run| run.writes));
        self.commit(writes).await
    }
}
