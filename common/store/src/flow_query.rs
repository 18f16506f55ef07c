//! Queries over flows: from filters and a sort to an index, and the predicate that decides.

use std::collections::HashSet;

use super::{
    Store, TableAccess, flow_run_query,
    query::Range,
    relations,
    select::{Matcher, Source, Window},
    table::{self, Collection, Index},
    tallies::{self, WithRuns},
};
use domain::filter::RunFilters;
use domain::{
    filter::{FlowRunFilter, FlowSort, TaskRunFilter},
    model::{Deployment, Flow, FlowId, FlowRun, TaskRun},
};
use error::Result;

/// What [`Store::flows`] touches.
pub const FILTER: TableAccess = COUNT.via(&[Index::Lookup]);

/// What [`Store::count_flows`] touches.
pub const COUNT: TableAccess = relations::BOUND
    .and(relations::MATCHING)
    .and(flow_run_query::HAS_ONE)
    .and(tallies::READ)
    .via(&[Index::ByName, Index::ByParent]);

impl Store {
    /// Returns the flows that `filters` select, within `window`, in the order of `sort`.
    ///
    /// A flow matches if it matches its own filter, and has a flow run and a task run that match theirs, and a deployment
    /// that matches its own and is in a work pool that matches.
    pub async fn flows(&self, filters: &RunFilters, sort: FlowSort, window: Window) -> Result<Vec<Flow>> {
        let source = self.flow_source(filters, sort).await?;
        self.select(source, &mut FlowMatcher::new(filters), |a, b| sort.compare(a, b), window).await
    }

    /// Counts the flows that `filters` select.
    pub async fn count_flows(&self, filters: &RunFilters) -> Result<u64> {
        let source = self.flow_source(filters, FlowSort::default()).await?;
        self.select_count(source, &mut FlowMatcher::new(filters)).await
    }

    async fn flow_source(&self, filters: &RunFilters, sort: FlowSort) -> Result<Source> {
        if let Some(flows) = self.flows_bound(filters.flows.as_ref()).await? {
            return Ok(Source::Keys(flows.into_iter().map(table::flow).collect()));
        }
        if let Some(flows) = self.flows_of_runs(filters).await? {
            return Ok(Source::Keys(flows.into_iter().map(table::flow).collect()));
        }
        if let Some(deployments) = self.deployments_bound(filters.deployments.as_ref()).await? {
            let keys: Vec<_> = deployments.into_iter().map(table::deployment).collect();
            let found = self.get_many::<Deployment>(&keys).await?;
            let flows: HashSet<FlowId> = found.iter().map(|found| found.record.flow_id).collect();
            return Ok(Source::Keys(flows.into_iter().map(table::flow).collect()));
        }
        let all = |index| Range::all(self, index, Collection::Flows).in_direction(sort.direction());
        Ok(match sort {
            FlowSort::NameAsc | FlowSort::NameDesc => Source::Ordered(all(Index::ByName)),
            FlowSort::CreatedDesc => Source::Ordered(all(Index::Lookup)),
            FlowSort::UpdatedDesc => Source::Unordered(vec![all(Index::Lookup)]),
        })
    }

    /// Returns the flows of the runs that the filters name, if they name some.
    async fn flows_of_runs(&self, filters: &RunFilters) -> Result<Option<HashSet<FlowId>>> {
        let flow_runs: Vec<_> = if let Some(ids) = filters.flow_runs.as_ref().and_then(FlowRunFilter::ids) {
            ids.iter().copied().map(table::flow_run).collect()
        } else if let Some(ids) = filters.task_runs.as_ref().and_then(TaskRunFilter::ids) {
            let keys: Vec<_> = ids.iter().copied().map(table::task_run).collect();
            let task_runs = self.get_many::<TaskRun>(&keys).await?;
            task_runs.iter().filter_map(|found| found.record.flow_run_id).map(table::flow_run).collect()
        } else {
            return Ok(None);
        };
        let flow_runs = self.get_many::<FlowRun>(&flow_runs).await?;
        Ok(Some(flow_runs.iter().map(|found| found.record.flow_id).collect()))
    }
}

/// Decides which flows match, and remembers which have runs that do.
struct FlowMatcher<'f> {
    filters: &'f RunFilters,
    with_runs: WithRuns<'f>,
}

impl Matcher<Flow> for FlowMatcher<'_> {
    fn matches_all(&self) -> bool {
        self.filters.ask_nothing()
    }

    async fn keep(&mut self, store: &Store, flows: Vec<Flow>) -> Result<Vec<Flow>> {
        let mut kept = Vec::new();
        for flow in flows {
            if self.matches(store, &flow).await? {
                kept.push(flow);
            }
        }
        Ok(kept)
    }
}

impl<'f> FlowMatcher<'f> {
    fn new(filters: &'f RunFilters) -> Self {
        Self { filters, with_runs: WithRuns::new(filters) }
    }

    async fn matches(&self, store: &Store, flow: &Flow) -> Result<bool> {
        let RunFilters { flows, flow_runs, task_runs, deployments, work_pools, .. } = self.filters;
        if let Some(filter) = flows
            && !store.flow_matches(filter, flow).await?
        {
            return Ok(false);
        }
        let of_deployments = deployments.is_some() || work_pools.is_some();
        if of_deployments && !store.has_deployment(flow.id, self.filters).await? {
            return Ok(false);
        }
        let of_runs = flow_runs.is_some() || task_runs.is_some();
        Ok(!of_runs || self.with_runs.are_of_flow(store, flow.id).await?)
    }
}
