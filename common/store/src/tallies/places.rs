//! Which flows and deployments have flow runs that match a filter, as tallies tell.

use std::collections::{BTreeMap, HashSet};

use tokio::sync::OnceCell;

use super::{Cell, TallyKey, TallyRange, leaf, query::MOST_LEAVES, written};
use crate::{
    Store,
    flow_run_query::{FlowRunMatcher, key_bounds},
    query::Range,
    select::Source,
    table::{self, Collection, Index},
};
use domain::{
    filter::{FlowRunFilter, RunFilters},
    model::{DeploymentId, FlowId, FlowRun},
    tallies::{Leaf, Scope, TalliedRun, cover},
};
use error::Result;

/// Says which flows and deployments have a flow run that matches filters.
///
/// Tallies tell it of all at once. Where they don't, the runs of each are searched for one that matches.
#[derive(Debug)]
pub(crate) struct WithRuns<'f> {
    filters: &'f RunFilters,
    /// The leaves that have such runs, once they are known; nothing if tallies don't tell.
    leaves: OnceCell<Option<HashSet<Leaf>>>,
}

impl<'f> WithRuns<'f> {
    /// Takes filters, of which those of flow runs and task runs count here.
    pub(crate) fn new(filters: &'f RunFilters) -> Self {
        Self { filters, leaves: OnceCell::new() }
    }

    /// Says whether a flow has a run that matches.
    pub(crate) async fn are_of_flow(&self, store: &Store, flow: FlowId) -> Result<bool> {
        if let Some(leaves) = self.leaves(store).await? {
            return Ok(leaves.iter().any(|leaf| leaf.flow == flow));
        }
        store.has_flow_run(Index::ByParent, &table::runs_of_flow(flow), self.filters).await
    }

    /// Says whether a deployment has a run that matches.
    pub(crate) async fn are_of_deployment(&self, store: &Store, deployment: DeploymentId) -> Result<bool> {
        if let Some(leaves) = self.leaves(store).await? {
            return Ok(leaves.iter().any(|leaf| leaf.deployment == Some(deployment)));
        }
        store.has_flow_run(Index::ByDeployment, &table::runs_of_deployment(deployment), self.filters).await
    }

    async fn leaves(&self, store: &Store) -> Result<Option<&HashSet<Leaf>>> {
        Ok(self.leaves.get_or_try_init(|| Box::pin(store.leaves_with_runs(self.filters))).await?.as_ref())
    }
}

impl Store {
    /// Returns the leaves that have flow runs which match the filter of flow runs, if tallies tell.
    async fn leaves_with_runs(&self, filters: &RunFilters) -> Result<Option<HashSet<Leaf>>> {
        let own = filters.flow_runs.as_ref();
        if filters.task_runs.is_some() || own.is_some_and(|filter| !filter.is_tallied()) {
            return Ok(None);
        }
        let every = TallyRange::whole(None);
        let Some(at_any_time) = self.leaves_in(&[every], own).await? else { return Ok(None) };
        let Some(window) = own.and_then(FlowRunFilter::expected_start_time_bounds) else {
            return Ok(Some(at_any_time));
        };
        if at_any_time.is_empty() {
            return Ok(Some(at_any_time));
        }
        if at_any_time.len() > MOST_LEAVES {
            return Ok(None);
        }
        let cover = cover(window);
        let scopes: Vec<Vec<u8>> = at_any_time.iter().map(|leaf| written(Scope::Leaf(*leaf))).collect();
        let ranges = TallyRange::within(&cover, &scopes);
        let Some(mut leaves) = self.leaves_in(&ranges, own).await? else { return Ok(None) };
        let of_runs = RunFilters { flow_runs: filters.flow_runs.clone(), ..RunFilters::default() };
        for edge in cover.edges {
            let (from, to) = key_bounds(Some(edge));
            let range = Range::all(self, Index::ByTime, Collection::FlowRuns).between(from, to);
            let visit = |found: Vec<FlowRun>| leaves.extend(found.iter().map(|run| TalliedRun::from(run).leaf()));
            Box::pin(self.visit(Source::Ordered(range), &mut FlowRunMatcher::new(&of_runs), visit)).await?;
        }
        Ok(Some(leaves))
    }

    /// Returns the leaves that have runs in `ranges` which match `filter`, if the database keeps tallies.
    async fn leaves_in(&self, ranges: &[TallyRange], filter: Option<&FlowRunFilter>) -> Result<Option<HashSet<Leaf>>> {
        if ranges.is_empty() {
            return Ok(Some(HashSet::new()));
        }
        let (Some(found), _) = self.backend.tallies(ranges).await? else { return Ok(None) };
        let mut runs = BTreeMap::<Leaf, i64>::new();
        for (TallyKey { scope, cell, .. }, sums) in found.sums {
            if let Some(leaf) = leaf(&scope)
                && let Ok(cell) = cell.parse::<Cell>()
                && filter.is_none_or(|filter| filter.matches_leaf(&leaf) && filter.matches_cell(&cell))
            {
                *runs.entry(leaf).or_default() += sums.runs;
            }
        }
        Ok(Some(runs.into_iter().filter(|(_, runs)| *runs > 0).map(|(leaf, _)| leaf).collect()))
    }
}
