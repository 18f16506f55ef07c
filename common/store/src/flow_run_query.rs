//! Queries over flow runs: from filters and a sort to an index, and the predicate that decides.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    hash::Hash,
};

use serde_json::json;

use super::{
    Item, Key, Store, TableAccess,
    query::{Direction, Range},
    relations::{self, Relations},
    select::{AHEAD, LOOKED_AT, Matcher, Source, Window, length},
    sought::{self, Sought},
    table::{self, Collection, Index},
    tallies, task_run_query, unstarted,
};
use domain::filter::RunFilters;
use domain::{
    filter::{DeploymentFilter, FlowFilter, FlowRunFacts, FlowRunFilter, FlowRunSort, TaskRunFilter, Term, TimeBounds},
    history::History,
    lateness::AverageLateness,
    model::{FlowRun, FlowRunId, RunSummary, StateType, TaskRun, TaskRunId, Timestamp},
};
use error::Result;

/// What [`Store::flow_runs`] touches: each order has its index.
pub const FILTER: TableAccess = MATCHER.and(GROUPS).via(&[
    Index::ByStart,
    Index::ByTime,
    Index::ByNextStart,
    Index::ByEnd,
    Index::ByName,
    Index::Lookup,
]);

/// What [`Store::count_flow_runs`] touches.
pub const COUNT: TableAccess = LATENESS.via(&[Index::Lookup]);

/// What [`Store::flow_run_lateness`] touches.
pub const LATENESS: TableAccess =
    MATCHER.and(GROUPS).via(&[Index::ByStart, Index::ByTime, Index::ByEnd, Index::ByName]);

/// What [`Store::flow_run_history`] touches: a window of time, or what the filters name one by one.
pub const HISTORY: TableAccess = MATCHER.and(tallies::READ).via(&[Index::ByTime, Index::ByName, Index::Related]);

/// What [`Store::has_flow_run`] touches besides the index that it is given.
pub(super) const HAS_ONE: TableAccess = MATCHER;

/// What a [`FlowRunMatcher`] touches.
pub(super) const MATCHER: TableAccess = relations::MATCHING.and(task_run_query::HAS_ONE);

/// What runs are found in that belong to something or are in some state, or have a parent.
const GROUPS: TableAccess = relations::BOUND
    .via(&[Index::ByDeployment, Index::ByParent, Index::ByWorkQueue, Index::Related])
    .via(unstarted::UNSTARTED);

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
        self.sort().map_or(Direction::Ascending, FlowRunSort::direction)
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
        let source = self.flow_run_plan(filters, Use::Sorted(sort)).await?.source;
        self.select(source, &mut FlowRunMatcher::new(filters), |a, b| sort.compare(a, b), window).await
    }

    /// Counts the flow runs that `filters` select.
    pub async fn count_flow_runs(&self, filters: &RunFilters) -> Result<u64> {
        if let Some(count) = Box::pin(self.tallied_count(filters)).await? {
            return Ok(count);
        }
        if FlowRunMatcher::new(filters).asks_for_a_term_alone() {
            return self.count_flow_runs_called(filters).await;
        }
        let plan = self.flow_run_plan(filters, Use::Counted).await?;
        self.select_count(plan.source, &mut FlowRunMatcher::new(&plan.rest)).await
    }

    /// Counts the flow runs whose name contains a term, which is all that `filters` ask, by the index by name alone.
    async fn count_flow_runs_called(&self, filters: &RunFilters) -> Result<u64> {
        let mut matcher = FlowRunMatcher::new(filters);
        let range = Range::all(self, Index::ByName, Collection::FlowRuns);
        if self.looks_into_rows() {
            return self.count(range.seeking(matcher.sought())).await;
        }
        let (mut count, mut cut) = (0, Vec::new());
        let mut reader = self.read(range, usize::MAX);
        while let Some(items) = reader.more().await? {
            for item in items {
                match matcher.has_term(&item) {
                    Some(true) => count += 1,
                    Some(false) => {}
                    None => cut.push(item.key),
                }
            }
        }
        for keys in cut.chunks(LOOKED_AT) {
            let found = self.get_many::<FlowRun>(keys).await?.into_iter().map(|found| found.record).collect();
            count += length(matcher.keep(self, found).await?.len());
        }
        Ok(count)
    }

    /// Counts the flow runs that `filters` select in `history`, as they are at `now`; only the history's time is read.
    pub async fn flow_run_history(&self, filters: &RunFilters, history: &mut History, now: Timestamp) -> Result<()> {
        let Some((from, until)) = history.window() else { return Ok(()) };
        if Box::pin(self.tallied_history(filters, history, now)).await? {
            return Ok(());
        }
        let window = TimeBounds { not_before: Some(from), not_after: Some(until) };
        let plan = self.flow_run_plan(filters, Use::Folded(Some(window))).await?;
        Box::pin(self.fold(plan.source, &mut FlowRunMatcher::new(&plan.rest), |run: &RunSummary| history.add(run, now)))
            .await
    }

    /// Averages how late the flow runs are that `filters` select, at the time `now`.
    pub async fn flow_run_lateness(&self, filters: &RunFilters, now: Timestamp) -> Result<AverageLateness> {
        if let Some(average) = Box::pin(self.tallied_lateness(filters, now)).await? {
            return Ok(average);
        }
        let mut average = AverageLateness::default();
        let plan = self.flow_run_plan(filters, Use::Folded(None)).await?;
        Box::pin(
            self.fold(plan.source, &mut FlowRunMatcher::new(&plan.rest), |run: &RunSummary| average.add(run, now)),
        )
        .await?;
        Ok(average)
    }

    /// Says whether a flow run in one of these groups of `index` matches the filters on flow runs and task runs.
    pub(super) async fn has_flow_run(&self, index: Index, group: &str, filters: &RunFilters) -> Result<bool> {
        let filters = RunFilters {
            flow_runs: filters.flow_runs.clone(),
            task_runs: filters.task_runs.clone(),
            ..RunFilters::default()
        };
        let source = Source::Ordered(Range::group(self, index, group));
        let first = Window { offset: 0, limit: 1 };
        let found = self.select(source, &mut FlowRunMatcher::new(&filters), |_, _| Ordering::Equal, first).await?;
        Ok(!found.is_empty())
    }

    /// Chooses where to read: the narrowest group or index that the filters name.
    pub(super) async fn flow_run_plan(&self, filters: &RunFilters, r#use: Use) -> Result<Plan> {
        let own = filters.flow_runs.as_ref();
        if let Some(ids) = own.and_then(FlowRunFilter::ids) {
            return Ok(Plan::of(Source::Keys(ids.iter().copied().map(table::flow_run).collect()), filters));
        }
        if let Some(ids) = filters.task_runs.as_ref().and_then(TaskRunFilter::ids) {
            let keys: Vec<_> = ids.iter().copied().map(table::task_run).collect();
            let task_runs = self.get_many::<TaskRun>(&keys).await?;
            let flow_runs: HashSet<FlowRunId> = task_runs.iter().filter_map(|found| found.record.flow_run_id).collect();
            return Ok(Plan::of(Source::Keys(flow_runs.into_iter().map(table::flow_run).collect()), filters));
        }
        if let Some(parents) = own.and_then(FlowRunFilter::parent_flow_run_ids) {
            let distinct: HashSet<FlowRunId> = parents.iter().copied().collect();
            let ranges = distinct.into_iter().map(|id| Range::of_index(Index::Related, table::subflows_of(id)));
            return Ok(Plan::of(Source::Unordered(ranges.collect()), filters));
        }
        if let Some(parents) = own.and_then(FlowRunFilter::parent_task_run_ids) {
            let distinct: HashSet<TaskRunId> = parents.iter().copied().collect();
            let keys: Vec<_> = distinct.into_iter().map(table::task_run).collect();
            let parents = self.get_many::<TaskRun>(&keys).await?;
            let ranges = parents.iter().map(|parent| Self::subflows(&parent.record));
            return Ok(Plan::of(Source::Unordered(ranges.collect()), filters));
        }
        let asked = own.and_then(FlowRunFilter::names);
        if let Some(names) = asked.filter(|names| self.are_few(names.len(), Index::ByName)) {
            let distinct: HashSet<&String> = names.iter().collect();
            let named = |name: &String| Range::all(self, Index::ByName, Collection::FlowRuns).named(name);
            return Ok(Plan::of(Source::Unordered(distinct.into_iter().map(named).collect()), filters));
        }
        // A window of time holds a known share of the table, a group may be most of it.
        if !matches!(r#use, Use::Folded(Some(_)))
            && let Some(plan) = Box::pin(self.runs_of_a_group(filters, r#use)).await?
        {
            // Nobody knows which is longer, the group or the window; what the group decides is open in the window.
            return Ok(match (plan.source, self.runs_expected_in_a_window(filters)) {
                (Source::Ordered(narrow), Some(ordered)) if r#use.sort().is_none() => {
                    Plan::of(Source::Race { narrow, ordered: Box::new(ordered) }, filters)
                }
                (source, _) => Plan { source, ..plan },
            });
        }
        let range = self.all_flow_runs(filters, r#use);
        if r#use.sort().is_some()
            && range.from.is_none()
            && let Some(narrow) = self.runs_of_a_window(filters)
        {
            return Ok(Plan::of(Source::Race { narrow, ordered: Box::new(range) }, filters));
        }
        let keeps_start = range.index == Some(Index::ByStart) && range.from.is_some();
        let keeps_expected = range.index == Some(Index::ByTime) && range.from.is_some();
        let plan = Plan::of(Source::Ordered(range), filters);
        Ok(match (keeps_start, keeps_expected) {
            (true, _) => plan.without(FlowRunFilter::without_start_time),
            (_, true) => plan.without(FlowRunFilter::without_expected_start_time),
            _ => plan,
        })
    }

    /// Reads the runs of the deployments, flows or work queues that the filters name, or in the states; the first of these
    /// that there is.
    async fn runs_of_a_group(&self, filters: &RunFilters, r#use: Use) -> Result<Option<Plan>> {
        let own = filters.flow_runs.as_ref();
        // Of a page, every run is asked for what it belongs to in any case.
        let is_settling = r#use.sort().is_none();
        let named = own.and_then(FlowRunFilter::deployment_ids);
        if let Some(deployments) = named.filter(|ids| self.are_few(ids.len(), Index::ByDeployment)) {
            let groups: HashSet<String> = deployments.iter().copied().map(table::runs_of_deployment).collect();
            let plan = self.grouped(Index::ByDeployment, groups, filters, r#use);
            return Ok(Some(plan.without(FlowRunFilter::without_deployment_ids)));
        }
        let deployments = self.deployments_bound(filters.deployments.as_ref()).await?;
        if let Some(mut deployments) = deployments.filter(|ids| self.are_few(ids.len(), Index::ByDeployment)) {
            let is_settled =
                is_settling && filters.deployments.as_ref().is_some_and(DeploymentFilter::is_one_list_of_ids);
            if is_settled {
                deployments = self.there(deployments, table::deployment).await?;
            }
            let groups = deployments.into_iter().map(table::runs_of_deployment);
            let mut plan = self.grouped(Index::ByDeployment, groups, filters, r#use);
            plan.rest.deployments.take_if(|_| is_settled);
            return Ok(Some(plan));
        }
        let flows = self.flows_bound(filters.flows.as_ref()).await?;
        if let Some(mut flows) = flows.filter(|ids| self.are_few(ids.len(), Index::ByParent)) {
            let is_settled = is_settling && filters.flows.as_ref().is_some_and(FlowFilter::is_one_list_of_ids);
            if is_settled {
                flows = self.there(flows, table::flow).await?;
            }
            let groups = flows.into_iter().map(table::runs_of_flow);
            let mut plan = self.grouped(Index::ByParent, groups, filters, r#use);
            plan.rest.flows.take_if(|_| is_settled);
            return Ok(Some(plan));
        }
        let queues = self.work_queues_bound(filters).await?;
        if let Some(queues) = queues.filter(|ids| self.are_few(ids.len(), Index::ByWorkQueue)) {
            let groups = queues.into_iter().map(table::runs_of_work_queue);
            let mut plan = self.grouped(Index::ByWorkQueue, groups, filters, r#use);
            (plan.rest.work_pools, plan.rest.work_pool_queues) = (None, None);
            return Ok(Some(plan));
        }
        let has_window = own.is_some_and(|filter| filter.expected_start_time_bounds().is_some());
        if let Some(types) = own.and_then(FlowRunFilter::state_types)
            && (r#use.sort().is_some() || !has_window)
        {
            let groups: HashSet<String> = types.iter().copied().map(table::runs_in_state).collect();
            let plan = self.grouped(Index::ByState, groups, filters, r#use);
            return Ok(Some(plan.without(FlowRunFilter::without_state_types)));
        }
        Ok(None)
    }

    /// Says whether so many groups of `index` are few enough to be read by themselves.
    pub(super) fn are_few(&self, groups: usize, index: Index) -> bool {
        let waiting = match index {
            Index::ByDeployment => self.shards().of_groups_in(Index::WaitingOfDeployment).0,
            Index::ByWorkQueue => self.shards().of_groups_in(Index::WaitingInQueue).0,
            _ => 0,
        };
        let of_each = usize::from(self.shards().of_groups_in(index).0) + usize::from(waiting);
        groups.saturating_mul(of_each) <= MOST_PARTITIONS
    }

    /// Returns those of `ids` whose records are there.
    async fn there<I: Copy + Eq + Hash>(&self, ids: HashSet<I>, key: fn(I) -> Key) -> Result<HashSet<I>> {
        let ids: HashMap<Key, I> = ids.into_iter().map(|id| (key(id), id)).collect();
        let keys: Vec<Key> = ids.keys().cloned().collect();
        Ok(self.get_items(&keys).await?.iter().filter_map(|item| ids.get(&item.key).copied()).collect())
    }

    /// Reads the runs that were to start after a time that the filter names.
    fn runs_expected_in_a_window(&self, filters: &RunFilters) -> Option<Range> {
        let (from, to) = key_bounds(filters.flow_runs.as_ref()?.expected_start_time_bounds());
        from.as_ref()?;
        Some(Range::all(self, Index::ByTime, Collection::FlowRuns).between(from, to))
    }

    /// Reads the runs that were to start, or started, after a time that the filter names.
    fn runs_of_a_window(&self, filters: &RunFilters) -> Option<Range> {
        let own = filters.flow_runs.as_ref()?;
        let windows = [(Index::ByTime, own.expected_start_time_bounds()), (Index::ByStart, own.start_time_bounds())];
        windows.into_iter().find_map(|(index, bounds)| {
            let (from, to) = key_bounds(bounds);
            from.as_ref()?;
            Some(Range::all(self, index, Collection::FlowRuns).between(from, to))
        })
    }

    /// Reads groups of flow runs that an index sorts by start time.
    fn grouped(
        &self,
        index: Index,
        groups: impl IntoIterator<Item = String>,
        filters: &RunFilters,
        r#use: Use,
    ) -> Plan {
        let bounds = filters.flow_runs.as_ref().and_then(FlowRunFilter::start_time_bounds);
        let is_nearly_in_order = index == Index::ByParent;
        let bounds = bounds.map(|bounds| if is_nearly_in_order { reaching_back(bounds) } else { bounds });
        let (from, to) = key_bounds(bounds);
        let keeps_start = from.is_some() && !is_nearly_in_order;
        let shards = self.shards().of_groups_in(index);
        let range = Range {
            partitions: groups.into_iter().flat_map(|group| shards.all_within(&group)).collect(),
            from,
            to,
            direction: r#use.direction(),
            ..Range::of_index(index, "")
        };
        let source = match r#use.sort() {
            Some(FlowRunSort::StartTimeAsc | FlowRunSort::StartTimeDesc) if is_nearly_in_order => Source::Nearly(range),
            None | Some(FlowRunSort::StartTimeAsc | FlowRunSort::StartTimeDesc) => Source::Ordered(range),
            Some(_) => Source::Race { narrow: range, ordered: Box::new(self.all_flow_runs(filters, r#use)) },
        };
        let plan = Plan::of(source, filters);
        if keeps_start { plan.without(FlowRunFilter::without_start_time) } else { plan }
    }

    /// Reads all runs, in the index of the sort; or without one, in the index that the filter narrows most.
    fn all_flow_runs(&self, filters: &RunFilters, r#use: Use) -> Range {
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
        Range::all(self, index, Collection::FlowRuns).between(from, to).in_direction(r#use.direction())
    }
}

/// How many partitions groups are read from by themselves; where a filter names more of them, all records are looked at.
///
/// Each is a query. On the 20 shards of a table in the cloud these are 25 flows, or 20 deployments or work queues.
const MOST_PARTITIONS: usize = 500;

/// Where a query over flow runs reads, and what that leaves to be asked of each of them.
#[derive(Debug)]
pub(super) struct Plan {
    pub source: Source,
    /// For queries that don't read the runs themselves: an index may lag behind, so what is answered has to match whole.
    pub rest: RunFilters,
}

impl Plan {
    fn of(source: Source, filters: &RunFilters) -> Self {
        Self { source, rest: filters.clone() }
    }

    /// Leaves out of the filter on flow runs what every one in the source matches.
    fn without(mut self, less: fn(&FlowRunFilter) -> FlowRunFilter) -> Self {
        self.rest.flow_runs = self.rest.flow_runs.as_ref().map(less).filter(|rest| !rest.asks_nothing());
        self
    }
}

/// Returns limits within which the places are of what has its time within `bounds`, where that may be later by [`AHEAD`].
fn reaching_back(bounds: TimeBounds) -> TimeBounds {
    TimeBounds { not_before: bounds.not_before.map(|time| time.plus_seconds(-AHEAD)), ..bounds }
}

/// Turns a filter's limits into the sort keys between which every match is.
pub(super) fn key_bounds(bounds: Option<TimeBounds>) -> KeyBounds {
    let key = |time: Option<Timestamp>| time.map(Timestamp::sortable);
    bounds.map_or((None, None), |bounds| (key(bounds.not_before), key(bounds.not_after)))
}

/// Returns the first and the last microsecond of a filter's limits.
fn micros(bounds: TimeBounds) -> (i64, i64) {
    let micros = |time: Option<Timestamp>| time.map(Timestamp::as_micros);
    (micros(bounds.not_before).unwrap_or(i64::MIN), micros(bounds.not_after).unwrap_or(i64::MAX))
}

/// Decides which flow runs match, and remembers what it learned of what they belong to.
pub(super) struct FlowRunMatcher<'f> {
    filters: &'f RunFilters,
    relations: Relations<'f>,
    /// Between which sort keys every match is in an index that others carry the sort keys of.
    carried: Option<(String, KeyBounds)>,
    /// When every match was expected to start.
    expected: Option<TimeBounds>,
    /// What the name of every match contains, and the attribute with the sort key that starts with the name.
    term: Option<(Term, String)>,
}

/// The smallest sort key that is wanted, and the largest, with all that start with it.
pub(super) type KeyBounds = (Option<String>, Option<String>);

impl<'f> FlowRunMatcher<'f> {
    pub(super) fn new(filters: &'f RunFilters) -> Self {
        let expected = filters.flow_runs.as_ref().and_then(FlowRunFilter::expected_start_time_bounds);
        let carried = expected.map(|bounds| (Index::ByTime.sort(), key_bounds(Some(bounds))));
        let term = filters.flow_runs.as_ref().and_then(FlowRunFilter::term_of_names);
        let term = term.map(|term| (Term::new(term), Index::ByName.sort()));
        Self { filters, relations: Relations::of_flow_runs(filters), carried, expected, term }
    }

    /// Leaves out the runs that were not expected to start within `window`, where that is known before they are read.
    pub(super) fn expected_within(mut self, window: TimeBounds) -> Self {
        let bounds = self.expected.map_or(window, |bounds| bounds.and(window));
        self.carried = Some((Index::ByTime.sort(), key_bounds(Some(bounds))));
        self.expected = Some(bounds);
        self
    }

    /// Returns the texts by which the `head` of each match tells its state.
    fn texts_of_states(&self) -> Vec<Vec<String>> {
        let filter = self.filters.flow_runs.as_ref();
        texts_of_state(filter.and_then(FlowRunFilter::state_types), filter.and_then(FlowRunFilter::state_names))
    }

    /// Says whether a run matches if its name contains a term.
    fn asks_for_a_term_alone(&self) -> bool {
        let RunFilters { flow_runs, task_runs, .. } = self.filters;
        let on_name = flow_runs.as_ref().is_some_and(FlowRunFilter::is_one_term_of_names);
        on_name && self.term.is_some() && self.relations.ask_nothing() && task_runs.is_none()
    }

    /// Says whether the name of an item has the term that is looked for, if its sort keys tell.
    fn has_term(&self, item: &Item) -> Option<bool> {
        let Some((term, attribute)) = &self.term else { return Some(true) };
        sought::is_in_name(term, item.index_keys.get(attribute)?)
    }
}

impl Matcher<FlowRun> for FlowRunMatcher<'_> {
    fn matches_all(&self) -> bool {
        self.filters.ask_nothing()
    }

    fn texts(&self) -> Vec<Vec<String>> {
        let filter = self.filters.flow_runs.as_ref();
        let mut texts = self.texts_of_states();
        let tags = filter.and_then(FlowRunFilter::all_tags).unwrap_or_default();
        texts.extend(tags.iter().take(LONGEST_LIST).map(|tag| vec![json!(tag).to_string()]));
        texts
    }

    fn is_decided_by_texts(&self) -> bool {
        let RunFilters { flow_runs, task_runs, .. } = self.filters;
        let on_state = flow_runs.as_ref().is_some_and(FlowRunFilter::is_one_list_of_states);
        self.relations.ask_nothing() && task_runs.is_none() && on_state && !self.texts().is_empty()
    }

    fn sought(&self) -> Sought {
        let filter = self.filters.flow_runs.as_ref();
        Sought {
            tags: filter.and_then(FlowRunFilter::all_tags).unwrap_or_default().to_vec(),
            term: filter.and_then(FlowRunFilter::term_of_names).map(ToOwned::to_owned),
            expected: self.expected.map(micros),
            started: filter.and_then(FlowRunFilter::start_time_bounds).map(micros),
        }
    }

    fn is_decided_by_sought(&self) -> bool {
        let RunFilters { flow_runs, task_runs, .. } = self.filters;
        let is_sought = |filter: &FlowRunFilter| {
            let rest = filter.without_hints();
            // The texts are all of a list of states, or none of it.
            rest.asks_nothing() || (rest.is_one_list_of_states() && !self.texts_of_states().is_empty())
        };
        self.relations.ask_nothing() && task_runs.is_none() && flow_runs.as_ref().is_none_or(is_sought)
    }

    fn may_match(&self, item: &Item) -> bool {
        self.has_term(item) != Some(false)
            && self.carried.as_ref().is_none_or(|(attribute, (from, to))| {
                item.index_keys.get(attribute).is_none_or(|key| {
                    from.as_ref().is_none_or(|from| from <= key)
                        && to.as_ref().is_none_or(|to| key <= to || key.starts_with(to.as_str()))
                })
            })
    }

    async fn keep(&mut self, store: &Store, mut runs: Vec<FlowRun>) -> Result<Vec<FlowRun>> {
        if let Some(filter) = &self.filters.flow_runs {
            runs.retain(|run| filter.matches(run, FlowRunFacts { parent_flow_run_id: run.parent_flow_run_id }));
        }
        runs = Box::pin(self.relations.keep(store, runs)).await?;
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
