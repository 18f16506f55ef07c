//! Queries over flow runs: from filters and a sort to an index, and the predicate that decides.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use serde::Deserialize;
use serde_json::json;

use super::{
    Store,
    query::{Direction, Range},
    select::{Matcher, Source, Window},
    table::{self, Collection, Index},
};
use crate::{
    error::Result,
    filter::{
        self, DeploymentFilter, FlowFacts, FlowFilter, FlowRunFacts, FlowRunFilter, FlowRunSort, TaskRunFilter,
        TimeBounds, WorkPoolFilter, WorkQueueFilter,
    },
    history::History,
    lateness::AverageLateness,
    model::{Flow, FlowId, FlowRun, FlowRunId, RunSummary, StateType, TaskRun, TaskRunId, Timestamp},
};

/// The filters of a query over flows, flow runs or task runs, as the contract's bodies name them.
///
/// A record matches if it matches its own filter, and for each other one a related record exists that matches.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RunFilters {
    /// On the flow.
    pub flows: Option<FlowFilter>,
    /// On the flow run.
    pub flow_runs: Option<FlowRunFilter>,
    /// On any of the flow run's task runs.
    pub task_runs: Option<TaskRunFilter>,
    /// On the deployment.
    pub deployments: Option<DeploymentFilter>,
    /// On the work pool.
    pub work_pools: Option<WorkPoolFilter>,
    /// On the work queue.
    pub work_pool_queues: Option<WorkQueueFilter>,
}

impl RunFilters {
    /// Says whether there is no filter at all.
    pub(super) fn ask_nothing(&self) -> bool {
        let Self { flows, flow_runs, task_runs, deployments, work_pools, work_pool_queues } = self;
        let on_runs = flows.is_some() || flow_runs.is_some() || task_runs.is_some();
        !on_runs && deployments.is_none() && work_pools.is_none() && work_pool_queues.is_none()
    }

    /// Returns what is left to be asked of the flow runs in `source`, if it keeps the limits of their expected start time.
    fn beyond(&self, source: &Source) -> Option<Self> {
        let Source::Ordered(Range { index: Some(Index::ByTime), from: Some(_), .. }) = source else { return None };
        let rest = self.flow_runs.as_ref()?.without_expected_start_time();
        Some(Self { flow_runs: Some(rest).filter(|rest| !rest.asks_nothing()), ..self.clone() })
    }

    /// Says whether a filter asks for a deployment, work pool or queue; none is stored yet, so no run has one.
    pub(super) fn asks_for_what_is_not_stored(&self) -> bool {
        self.deployments.is_some() || self.work_pools.is_some() || self.work_pool_queues.is_some()
    }
}

/// What a query does with what it finds, by which the index is chosen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    /// It returns the records in an order.
    Sorted(FlowRunSort),
    /// It counts them.
    Counted,
    /// It looks at each one's times and state, within limits of the expected start time beyond those of the filters.
    ///
    /// What else is read has to be left out by the caller.
    Folded(Option<TimeBounds>),
}

impl Use {
    fn sort(self) -> Option<FlowRunSort> {
        match self {
            Self::Sorted(sort) => Some(sort),
            Self::Counted | Self::Folded(_) => None,
        }
    }

    fn direction(self) -> Direction {
        direction(self.sort().map_or(filter::Direction::Ascending, FlowRunSort::direction))
    }
}

/// The longest list that DynamoDB is made to look for; its expressions hold 300 operators.
const LONGEST_LIST: usize = 50;

/// Returns the texts of which the `head` of each run in one of these states contains one, list by list.
///
/// They can't stand anywhere else in a `head`: a quotation mark inside of a JSON text is escaped.
pub(super) fn texts_of_state(types: Option<&[StateType]>, names: Option<&[String]>) -> Vec<Vec<String>> {
    let types = types.map(|types| types.iter().map(|r#type| json!(r#type)).collect::<Vec<_>>());
    let names = names.map(|names| names.iter().map(|name| json!(name)).collect());
    [("state_type", types), ("state_name", names)]
        .into_iter()
        .filter_map(|(field, values)| {
            Some((field, values.filter(|values| (1..=LONGEST_LIST).contains(&values.len()))?))
        })
        .map(|(field, values)| values.iter().map(|value| format!("\"{field}\":{value}")).collect())
        .collect()
}

impl Store {
    /// Returns the flow runs that `filters` select, within `window`, in the order of `sort`.
    pub async fn flow_runs(&self, filters: &RunFilters, sort: FlowRunSort, window: Window) -> Result<Vec<FlowRun>> {
        let Some(source) = self.flow_run_source(filters, Use::Sorted(sort)).await? else { return Ok(Vec::new()) };
        self.select(source, &mut FlowRunMatcher::new(filters), |a, b| sort.compare(a, b), window).await
    }

    /// Counts the flow runs that `filters` select.
    pub async fn count_flow_runs(&self, filters: &RunFilters) -> Result<u64> {
        let Some(source) = self.flow_run_source(filters, Use::Counted).await? else { return Ok(0) };
        self.select_count(source, &mut FlowRunMatcher::new(filters)).await
    }

    /// Counts the flow runs that `filters` select in `history`, as they are at `now`; only the history's time is read.
    pub async fn flow_run_history(&self, filters: &RunFilters, history: &mut History, now: Timestamp) -> Result<()> {
        let Some((from, until)) = history.window() else { return Ok(()) };
        let window = TimeBounds { not_before: Some(from), not_after: Some(until) };
        let Some(source) = self.flow_run_source(filters, Use::Folded(Some(window))).await? else { return Ok(()) };
        let beyond_the_range = filters.beyond(&source);
        let filters = beyond_the_range.as_ref().unwrap_or(filters);
        self.fold(source, &mut FlowRunMatcher::new(filters), |run: &RunSummary| history.add(run, now)).await
    }

    /// Averages how late the flow runs are that `filters` select, at the time `now`.
    pub async fn flow_run_lateness(&self, filters: &RunFilters, now: Timestamp) -> Result<AverageLateness> {
        let mut average = AverageLateness::default();
        if let Some(source) = self.flow_run_source(filters, Use::Folded(None)).await? {
            self.fold(source, &mut FlowRunMatcher::new(filters), |run: &RunSummary| average.add(run, now)).await?;
        }
        Ok(average)
    }

    /// Says whether a flow run of `flow` matches the filters on flow runs and task runs.
    pub(super) async fn has_flow_run(&self, flow: FlowId, filters: &RunFilters) -> Result<bool> {
        let filters = RunFilters {
            flow_runs: filters.flow_runs.clone(),
            task_runs: filters.task_runs.clone(),
            ..RunFilters::default()
        };
        let source = Source::Ordered(Range::group(self, Index::ByParent, &table::runs_of_flow(flow)));
        let first = Window { offset: 0, limit: 1 };
        let found = self.select(source, &mut FlowRunMatcher::new(&filters), |_, _| Ordering::Equal, first).await?;
        Ok(!found.is_empty())
    }

    /// Chooses where to read; nowhere if nothing can match.
    pub(super) async fn flow_run_source(&self, filters: &RunFilters, r#use: Use) -> Result<Option<Source>> {
        if filters.asks_for_what_is_not_stored() {
            return Ok(None);
        }
        let own = filters.flow_runs.as_ref();
        if let Some(ids) = own.and_then(FlowRunFilter::ids) {
            return Ok(Some(Source::Keys(ids.iter().copied().map(table::flow_run).collect())));
        }
        if let Some(ids) = filters.task_runs.as_ref().and_then(TaskRunFilter::ids) {
            let keys: Vec<_> = ids.iter().copied().map(table::task_run).collect();
            let task_runs = self.get_many::<TaskRun>(&keys).await?;
            let flow_runs: HashSet<FlowRunId> = task_runs.iter().filter_map(|found| found.record.flow_run_id).collect();
            return Ok(Some(Source::Keys(flow_runs.into_iter().map(table::flow_run).collect())));
        }
        if let Some(parents) = own.and_then(FlowRunFilter::parent_flow_run_ids) {
            let distinct: HashSet<FlowRunId> = parents.iter().copied().collect();
            let ranges = distinct.into_iter().map(|id| Range::of_index(Index::Related, table::subflows_of(id)));
            return Ok(Some(Source::Gathered(ranges.collect())));
        }
        if let Some(parents) = own.and_then(FlowRunFilter::parent_task_run_ids) {
            let distinct: HashSet<TaskRunId> = parents.iter().copied().collect();
            let keys: Vec<_> = distinct.into_iter().map(table::task_run).collect();
            let parents = self.get_many::<TaskRun>(&keys).await?;
            let ranges = parents.iter().map(|parent| Self::subflows(&parent.record));
            return Ok(Some(Source::Gathered(ranges.collect())));
        }
        if let Some(flows) = self.flows_bound(filters.flows.as_ref()).await? {
            return Ok(Some(self.runs_of_flows(&flows, own, r#use)));
        }
        Ok(Some(self.all_flow_runs(filters, r#use)))
    }

    /// Returns the flows of which every match belongs to one, if the filter names them.
    pub(super) async fn flows_bound(&self, filter: Option<&FlowFilter>) -> Result<Option<HashSet<FlowId>>> {
        let Some(filter) = filter else { return Ok(None) };
        if let Some(ids) = filter.ids() {
            return Ok(Some(ids.iter().copied().collect()));
        }
        let Some(names) = filter.names() else { return Ok(None) };
        let mut ids = HashSet::new();
        for name in names {
            ids.extend(self.owner(&table::unique_flow_name(name)).await?.map(FlowId::from));
        }
        Ok(Some(ids))
    }

    /// Reads all runs, in the index of the sort; or without one, in the index that the filter narrows most.
    fn all_flow_runs(&self, filters: &RunFilters, r#use: Use) -> Source {
        let bounds = |of: fn(&FlowRunFilter) -> Option<TimeBounds>| filters.flow_runs.as_ref().and_then(of);
        let start = || bounds(FlowRunFilter::start_time_bounds);
        let expected = || bounds(FlowRunFilter::expected_start_time_bounds);
        let next = || bounds(FlowRunFilter::next_scheduled_start_time_bounds);
        let end = || bounds(FlowRunFilter::end_time_bounds);
        let (index, bounds) = match r#use.sort() {
            Some(FlowRunSort::StartTimeAsc | FlowRunSort::StartTimeDesc) => (Index::ByStart, start()),
            Some(FlowRunSort::ExpectedStartTimeAsc | FlowRunSort::ExpectedStartTimeDesc) => (Index::ByTime, expected()),
            Some(FlowRunSort::NextScheduledStartTimeAsc) => (Index::ByNextStart, next()),
            Some(FlowRunSort::EndTimeDesc) => (Index::ByEnd, end()),
            Some(FlowRunSort::NameAsc | FlowRunSort::NameDesc) => (Index::ByName, None),
            Some(FlowRunSort::IdDesc) => (Index::Lookup, None),
            None => {
                let expected = match r#use {
                    Use::Folded(Some(window)) => Some(expected().map_or(window, |bounds| bounds.and(window))),
                    _ => expected(),
                };
                // To count all of them, the smallest index will do.
                let any =
                    if matches!(r#use, Use::Counted) && filters.ask_nothing() { Index::Lookup } else { Index::ByTime };
                [(Index::ByTime, expected), (Index::ByStart, start()), (Index::ByEnd, end())]
                    .into_iter()
                    .find(|(_, bounds)| bounds.is_some())
                    .unwrap_or((any, None))
            }
        };
        let (from, to) = key_bounds(bounds);
        Source::Ordered(Range::all(self, index, Collection::FlowRuns).between(from, to).in_direction(r#use.direction()))
    }

    fn runs_of_flows(&self, flows: &HashSet<FlowId>, filter: Option<&FlowRunFilter>, r#use: Use) -> Source {
        let (from, to) = key_bounds(filter.and_then(FlowRunFilter::start_time_bounds));
        let groups = flows.iter().copied().map(table::runs_of_flow);
        let range = Range {
            partitions: groups.flat_map(|group| self.shards().all_within(&group)).collect(),
            from,
            to,
            direction: r#use.direction(),
            ..Range::of_index(Index::ByParent, "")
        };
        match r#use.sort() {
            None | Some(FlowRunSort::StartTimeAsc | FlowRunSort::StartTimeDesc) => Source::Ordered(range),
            Some(_) => Source::Gathered(vec![range]),
        }
    }
}

/// Turns a filter's limits into the sort keys between which every match is.
pub(super) fn key_bounds(bounds: Option<TimeBounds>) -> (Option<String>, Option<String>) {
    let key = |time: Option<Timestamp>| time.map(Timestamp::sortable);
    bounds.map_or((None, None), |bounds| (key(bounds.not_before), key(bounds.not_after)))
}

/// Turns a sort's direction into an index's.
pub(super) fn direction(direction: filter::Direction) -> Direction {
    match direction {
        filter::Direction::Ascending => Direction::Ascending,
        filter::Direction::Descending => Direction::Descending,
    }
}

/// Decides which flow runs match, and remembers what it learned of their flows.
pub(super) struct FlowRunMatcher<'f> {
    filters: &'f RunFilters,
    flows: HashMap<FlowId, bool>,
}

impl<'f> FlowRunMatcher<'f> {
    pub(super) fn new(filters: &'f RunFilters) -> Self {
        Self { filters, flows: HashMap::new() }
    }
}

/// Evaluates a filter on flows for the flows `wanted`, into `known`.
pub(super) async fn learn_flows(
    store: &Store,
    filter: &FlowFilter,
    wanted: impl Iterator<Item = FlowId>,
    known: &mut HashMap<FlowId, bool>,
) -> Result<()> {
    let unknown: HashSet<FlowId> = wanted.filter(|id| !known.contains_key(id)).collect();
    let keys: Vec<_> = unknown.iter().copied().map(table::flow).collect();
    known.extend(unknown.into_iter().map(|id| (id, false)));
    for flow in store.get_many::<Flow>(&keys).await? {
        known.insert(flow.record.id, filter.matches(&flow.record, FlowFacts { has_deployment: false }));
    }
    Ok(())
}

impl Matcher<FlowRun> for FlowRunMatcher<'_> {
    fn matches_all(&self) -> bool {
        self.filters.ask_nothing()
    }

    fn texts(&self) -> Vec<Vec<String>> {
        let filter = self.filters.flow_runs.as_ref();
        texts_of_state(filter.and_then(FlowRunFilter::state_types), filter.and_then(FlowRunFilter::state_names))
    }

    fn is_decided_by_texts(&self) -> bool {
        let RunFilters { flows, flow_runs, task_runs, .. } = self.filters;
        let on_state = flow_runs.as_ref().is_some_and(FlowRunFilter::is_one_list_of_states);
        flows.is_none() && task_runs.is_none() && on_state && !self.texts().is_empty()
    }

    async fn keep(&mut self, store: &Store, mut runs: Vec<FlowRun>) -> Result<Vec<FlowRun>> {
        if let Some(filter) = &self.filters.flow_runs {
            runs.retain(|run| filter.matches(run, FlowRunFacts { parent_flow_run_id: run.parent_flow_run_id }));
        }
        if let Some(filter) = &self.filters.flows {
            learn_flows(store, filter, runs.iter().map(|run| run.flow_id), &mut self.flows).await?;
            runs.retain(|run| self.flows.get(&run.flow_id) == Some(&true));
        }
        if let Some(filter) = &self.filters.task_runs {
            let mut kept = Vec::new();
            for run in runs {
                if store.has_task_run(run.id, filter).await? {
                    kept.push(run);
                }
            }
            runs = kept;
        }
        Ok(runs)
    }
}
