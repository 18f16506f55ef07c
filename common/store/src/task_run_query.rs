//! Queries over task runs: from filters and a sort to an index, and the predicate that decides.

use std::collections::{HashMap, HashSet};

use super::{
    Item, Store, TableAccess,
    flow_run_query::{key_bounds, texts_of_state},
    query::Range,
    relations::{self, Relations},
    select::{Matcher, Source, Window},
    table::{self, Collection, Index},
};
use crate::query::Direction;
use domain::filter::RunFilters;
use domain::{
    filter::{FlowRunFacts, FlowRunFilter, TaskRunFacts, TaskRunFilter, TaskRunSort, TimeBounds},
    history::History,
    model::{FlowRun, FlowRunId, RunSummary, TaskRun, Timestamp},
};
use error::Result;

/// What [`Store::task_runs`] touches: each order has its index.
pub const FILTER: TableAccess =
    MATCHER.via(&[Index::ByTime, Index::ByNextStart, Index::ByEnd, Index::ByName, Index::ByParent, Index::Lookup]);

/// What [`Store::count_task_runs`] touches.
pub const COUNT: TableAccess = MATCHER.via(&[Index::ByTime, Index::ByEnd, Index::ByParent, Index::Lookup]);

/// What [`Store::task_run_history`] touches.
pub const HISTORY: TableAccess = MATCHER.via(&[Index::ByTime, Index::ByParent]);

/// What [`Store::task_run_summaries`] touches.
pub const SUMMARIES: TableAccess = MATCHER.via(&[Index::ByTime, Index::ByEnd, Index::ByParent]);

/// How many seconds a run may have ended before it started, by clocks that differ.
const LARGEST_SKEW: f64 = 3_600.0;

/// What [`Store::count_own_task_runs`] touches.
pub const COUNT_OWN: TableAccess = TableAccess::READS.via(&[Index::ByParent, Index::Related]);

/// What [`Store::matching`] touches.
pub(super) const MATCHING: TableAccess = TableAccess::READS.via(&[Index::Related]);

/// What [`Store::has_task_run`] touches.
pub(super) const HAS_ONE: TableAccess = MATCHING.via(&[Index::ByParent]);

const MATCHER: TableAccess = MATCHING.and(relations::MATCHING);

impl Store {
    /// Returns the task runs that `filters` select, within `window`, in the order of `sort`.
    pub async fn task_runs(&self, filters: &RunFilters, sort: TaskRunSort, window: Window) -> Result<Vec<TaskRun>> {
        let source = self.task_run_source(filters, Some(sort), None);
        let now = Timestamp::now();
        self.select(source, &mut TaskRunMatcher::new(filters), |a, b| sort.compare(a, b, now), window).await
    }

    /// Counts the task runs that `filters` select.
    pub async fn count_task_runs(&self, filters: &RunFilters) -> Result<u64> {
        let source = self.task_run_source(filters, None, None);
        self.select_count(source, &mut TaskRunMatcher::new(filters)).await
    }

    /// Counts the task runs that `filters` select in `history`, as they are at `now`; only the history's time is read.
    pub async fn task_run_history(&self, filters: &RunFilters, history: &mut History, now: Timestamp) -> Result<()> {
        let Some((from, until)) = history.window() else { return Ok(()) };
        let window = TimeBounds { not_before: Some(from), not_after: Some(until) };
        let source = self.task_run_source(filters, None, Some(window));
        self.fold(source, &mut TaskRunMatcher::new(filters), |run: &RunSummary| history.add(run, now)).await
    }

    /// Hands the summaries of the task runs that `filters` select to `visit`, in no order.
    ///
    /// No index is sorted by the start time. Where the filters name the earliest one, what is read are the runs that ended
    /// after it and those that have not ended: a run that ended more than `LARGEST_SKEW` before it started is not found.
    pub async fn task_run_summaries(&self, filters: &RunFilters, visit: impl FnMut(&RunSummary)) -> Result<()> {
        let source = self.summary_source(filters);
        self.fold(source, &mut TaskRunMatcher::new(filters), visit).await
    }

    fn summary_source(&self, filters: &RunFilters) -> Source {
        let own = filters.task_runs.as_ref();
        let expected = own.and_then(TaskRunFilter::expected_start_time_bounds);
        let any = TimeBounds { not_before: None, not_after: None };
        let source = self.task_run_source(filters, None, Some(expected.unwrap_or(any)));
        let started = own.and_then(TaskRunFilter::start_time_bounds).and_then(|bounds| bounds.not_before);
        let reads_all = matches!(&source, Source::Ordered(range) if range.index == Some(Index::ByTime));
        let Some(started) = started.filter(|_| reads_all && expected.is_none()) else { return source };
        let by_end = Range::all(self, Index::ByEnd, Collection::TaskRuns);
        let ended = by_end.clone().between(Some(started.plus_seconds(-LARGEST_SKEW).sortable()), None);
        Source::Unordered(vec![ended, by_end.named(&table::null())])
    }

    /// Counts the task runs of a flow run that don't stand for a subflow run.
    pub async fn count_own_task_runs(&self, flow_run: FlowRunId) -> Result<u64> {
        let (task_runs, subflow_runs) = futures::try_join!(
            self.count(Range::group(self, Index::ByParent, &table::runs_in_flow_run(flow_run))),
            self.read_all(Range::of_index(Index::Related, table::subflows_of(flow_run))),
        )?;
        let sort = Index::Related.sort();
        let parents: HashSet<_> = subflow_runs
            .iter()
            .filter_map(|item| item.index_keys.get(&sort))
            .map(|key| table::without_id(key))
            .collect();
        Ok(task_runs.saturating_sub(parents.len().try_into().unwrap_or(u64::MAX)))
    }

    /// Says whether a task run of `flow_run` matches.
    pub(super) async fn has_task_run(&self, flow_run: FlowRunId, filter: &TaskRunFilter) -> Result<bool> {
        let mut reader = self.read(Range::group(self, Index::ByParent, &table::runs_in_flow_run(flow_run)), 100);
        while let Some(items) = reader.more().await? {
            let task_runs = items.iter().map(Item::record).collect::<Result<_>>()?;
            if !self.matching(filter, task_runs).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns those of `task_runs` that `filter` selects.
    pub(super) async fn matching(&self, filter: &TaskRunFilter, task_runs: Vec<TaskRun>) -> Result<Vec<TaskRun>> {
        let mut kept = Vec::new();
        for run in task_runs {
            let facts = if filter.needs_subflow_runs() {
                TaskRunFacts { has_subflow_run: self.has_subflow_run(&run).await? }
            } else {
                TaskRunFacts::default()
            };
            if filter.matches(&run, facts) {
                kept.push(run);
            }
        }
        Ok(kept)
    }

    async fn has_subflow_run(&self, run: &TaskRun) -> Result<bool> {
        Ok(self.read_first(Self::subflows(run)).await?.is_some())
    }

    /// Chooses where to read.
    ///
    /// `window` narrows the expected start time beyond the filters; what else is read has to be left out by the caller.
    fn task_run_source(&self, filters: &RunFilters, sort: Option<TaskRunSort>, window: Option<TimeBounds>) -> Source {
        let own = filters.task_runs.as_ref();
        if let Some(ids) = own.and_then(TaskRunFilter::ids) {
            return Source::Keys(ids.iter().copied().map(table::task_run).collect());
        }
        let flow_runs = own
            .and_then(TaskRunFilter::flow_run_ids)
            .or_else(|| filters.flow_runs.as_ref().and_then(FlowRunFilter::ids));
        let bounds = |of: fn(&TaskRunFilter) -> Option<TimeBounds>| own.and_then(of);
        let expected = || window.or_else(|| bounds(TaskRunFilter::expected_start_time_bounds));
        let direction = sort.map_or(Direction::Ascending, TaskRunSort::direction);
        if let Some(flow_runs) = flow_runs {
            let distinct: HashSet<FlowRunId> = flow_runs.iter().copied().collect();
            let (from, to) = key_bounds(expected());
            let groups = distinct.into_iter().map(table::runs_in_flow_run);
            let partitions = groups.flat_map(|group| self.shards().all_within(&group)).collect();
            let range = Range { partitions, from, to, direction, ..Range::of_index(Index::ByParent, "") };
            return match sort {
                None | Some(TaskRunSort::ExpectedStartTimeAsc | TaskRunSort::ExpectedStartTimeDesc) => {
                    Source::Ordered(range)
                }
                Some(_) => Source::Unordered(vec![range]),
            };
        }
        let end = || bounds(TaskRunFilter::end_time_bounds);
        // How long a run has taken grows while it runs, so no index is sorted by it.
        let is_by_duration = matches!(sort, Some(TaskRunSort::DurationAsc | TaskRunSort::DurationDesc));
        let (index, bounds) = match sort {
            Some(
                TaskRunSort::ExpectedStartTimeAsc
                | TaskRunSort::ExpectedStartTimeDesc
                | TaskRunSort::DurationAsc
                | TaskRunSort::DurationDesc,
            ) => (Index::ByTime, expected()),
            Some(TaskRunSort::NextScheduledStartTimeAsc) => (Index::ByNextStart, None),
            Some(TaskRunSort::EndTimeDesc) => (Index::ByEnd, end()),
            Some(TaskRunSort::NameAsc | TaskRunSort::NameDesc) => (Index::ByName, None),
            Some(TaskRunSort::IdDesc) => (Index::Lookup, None),
            None => [(Index::ByTime, expected()), (Index::ByEnd, end())]
                .into_iter()
                .find(|(_, bounds)| bounds.is_some())
                .unwrap_or((if filters.ask_nothing() { Index::Lookup } else { Index::ByTime }, None)),
        };
        let (from, to) = key_bounds(bounds);
        let range = Range::all(self, index, Collection::TaskRuns).between(from, to).in_direction(direction);
        if is_by_duration { Source::Unordered(vec![range]) } else { Source::Ordered(range) }
    }
}

/// Decides which task runs match, and remembers what it learned of their flow runs and what these belong to.
struct TaskRunMatcher<'f> {
    filters: &'f RunFilters,
    flow_runs: HashMap<FlowRunId, bool>,
    relations: Relations<'f>,
}

impl<'f> TaskRunMatcher<'f> {
    fn new(filters: &'f RunFilters) -> Self {
        Self { filters, flow_runs: HashMap::new(), relations: Relations::of_flow_runs(filters) }
    }

    async fn learn_flow_runs(&mut self, store: &Store, task_runs: &[TaskRun]) -> Result<()> {
        let unknown: HashSet<FlowRunId> =
            task_runs.iter().filter_map(|run| run.flow_run_id).filter(|id| !self.flow_runs.contains_key(id)).collect();
        let keys: Vec<_> = unknown.iter().copied().map(table::flow_run).collect();
        self.flow_runs.extend(unknown.into_iter().map(|id| (id, false)));
        let mut flow_runs: Vec<FlowRun> = store.get_many(&keys).await?.into_iter().map(|found| found.record).collect();
        if let Some(filter) = &self.filters.flow_runs {
            flow_runs.retain(|run| filter.matches(run, FlowRunFacts { parent_flow_run_id: run.parent_flow_run_id }));
        }
        let matching = Box::pin(self.relations.keep(store, flow_runs)).await?;
        self.flow_runs.extend(matching.into_iter().map(|run| (run.id, true)));
        Ok(())
    }
}

impl Matcher<TaskRun> for TaskRunMatcher<'_> {
    fn matches_all(&self) -> bool {
        self.filters.ask_nothing()
    }

    fn texts(&self) -> Vec<Vec<String>> {
        let filter = self.filters.task_runs.as_ref();
        texts_of_state(filter.and_then(TaskRunFilter::state_types), filter.and_then(TaskRunFilter::state_names))
    }

    async fn keep(&mut self, store: &Store, mut task_runs: Vec<TaskRun>) -> Result<Vec<TaskRun>> {
        if let Some(filter) = &self.filters.task_runs {
            task_runs = store.matching(filter, task_runs).await?;
        }
        if self.filters.flow_runs.is_some() || !self.relations.ask_nothing() {
            self.learn_flow_runs(store, &task_runs).await?;
            task_runs.retain(|run| run.flow_run_id.is_some_and(|id| self.flow_runs.get(&id) == Some(&true)));
        }
        Ok(task_runs)
    }
}
