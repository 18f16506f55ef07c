//! Queries over flows: from filters and a sort to an index, and the predicate that decides.

use std::collections::HashSet;

use super::{
    Store,
    flow_run_query::{RunFilters, direction},
    query::Range,
    select::{Matcher, Source, Window},
    table::{self, Collection, Index},
};
use crate::{
    error::Result,
    filter::{FlowFacts, FlowFilter, FlowRunFilter, FlowSort, TaskRunFilter},
    model::{Flow, FlowId, FlowRun, TaskRun},
};

impl Store {
    /// Returns the flows that `filters` select, within `window`, in the order of `sort`.
    ///
    /// A flow matches if it matches its own filter, and has a flow run and a task run that match theirs.
    pub async fn flows(&self, filters: &RunFilters, sort: FlowSort, window: Window) -> Result<Vec<Flow>> {
        let Some(source) = self.flow_source(filters, sort).await? else { return Ok(Vec::new()) };
        self.select(source, &mut FlowMatcher(filters), |a, b| sort.compare(a, b), window).await
    }

    /// Counts the flows that `filters` select.
    pub async fn count_flows(&self, filters: &RunFilters) -> Result<u64> {
        let Some(source) = self.flow_source(filters, FlowSort::default()).await? else { return Ok(0) };
        self.select_count(source, &mut FlowMatcher(filters)).await
    }

    /// Chooses where to read; nowhere if nothing can match.
    async fn flow_source(&self, filters: &RunFilters, sort: FlowSort) -> Result<Option<Source>> {
        if filters.asks_for_what_is_not_stored() {
            return Ok(None);
        }
        if let Some(flows) = self.flows_bound(filters.flows.as_ref()).await? {
            return Ok(Some(Source::Keys(flows.into_iter().map(table::flow).collect())));
        }
        if let Some(flows) = self.flows_of_runs(filters).await? {
            return Ok(Some(Source::Keys(flows.into_iter().map(table::flow).collect())));
        }
        let all = |index| Range::all(self, index, Collection::Flows).in_direction(direction(sort.direction()));
        Ok(Some(match sort {
            FlowSort::NameAsc | FlowSort::NameDesc => Source::Ordered(all(Index::ByName)),
            FlowSort::CreatedDesc => Source::Ordered(all(Index::Lookup)),
            FlowSort::UpdatedDesc => Source::Gathered(vec![all(Index::Lookup)]),
        }))
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

/// Decides which flows match.
struct FlowMatcher<'f>(&'f RunFilters);

impl Matcher<Flow> for FlowMatcher<'_> {
    fn matches_all(&self) -> bool {
        let RunFilters { flows, flow_runs, task_runs, .. } = self.0;
        flows.is_none() && flow_runs.is_none() && task_runs.is_none()
    }

    async fn keep(&mut self, store: &Store, mut flows: Vec<Flow>) -> Result<Vec<Flow>> {
        if let Some(filter) = &self.0.flows {
            flows.retain(|flow| FlowFilter::matches(filter, flow, FlowFacts { has_deployment: false }));
        }
        if self.0.flow_runs.is_none() && self.0.task_runs.is_none() {
            return Ok(flows);
        }
        let mut kept = Vec::new();
        for flow in flows {
            if store.has_flow_run(flow.id, self.0).await? {
                kept.push(flow);
            }
        }
        Ok(kept)
    }
}
