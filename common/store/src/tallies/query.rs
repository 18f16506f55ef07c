//! Queries of flow runs that tallies answer: counts, histories and average lateness.
//!
//! A filter is answered if all of its parts must hold, and each is about what tallies tell apart. What it asks of flows,
//! deployments, queues and pools is asked of them, once for each leaf and not for each run. A window of the expected
//! start time is made of hours and minutes, and of what is less than a minute at its edges, which is read run by run.

use std::collections::BTreeMap;

use super::{Cell, Length, Sums, TallyKey, TallyRange, leaf, written};
use crate::{
    Store, TableAccess,
    flow_run_query::{FlowRunMatcher, MATCHER, key_bounds},
    query::Range,
    relations::{self, BelongsTo, Relations},
    select::Source,
    table::{self, Collection, Index},
};
use domain::{
    filter::{FlowRunFilter, RunFilters, TimeBounds},
    history::History,
    lateness::AverageLateness,
    model::{FlowRun, RunSummary, StateType, Timestamp},
    tallies::{Cells, Cover, Leaf, Scope, TalliedRun, add, cover},
};
use error::Result;

/// What queries of tallies touch, wherever they are kept.
pub const READ: TableAccess = MATCHER.and(relations::BOUND).via(&[Index::ByTime, Index::ByState, Index::ByNextStart]);

/// How many leaves a window is looked up of; where a filter selects more of them, the runs are looked at.
pub(super) const MOST_LEAVES: usize = 500;

/// How many windows of less than a minute are read for a history; where it has more of them, all runs are looked at.
const MOST_EDGES: usize = 60;

/// How many runs of a history are looked at one by one, however few there are besides.
const FEW_LIVE: i64 = 100;

/// About how many runs there are in less than a minute, at most.
const EDGE: usize = 100;

/// How many ranges are read by themselves, each as one sum of its periods.
const FEW_RANGES: usize = 200;

/// How many periods may be between two ranges of them that are read as one.
const NEAR: i64 = 2;

/// Joins windows of which one begins a microsecond after the other's end.
fn joined<'e>(edges: impl Iterator<Item = &'e TimeBounds>) -> Vec<TimeBounds> {
    let mut joined: Vec<TimeBounds> = Vec::new();
    let micros = |time: Option<Timestamp>| time.map(Timestamp::as_micros);
    for edge in edges {
        match joined.last_mut() {
            Some(last) if micros(last.not_after).map(|end| end + 1) == micros(edge.not_before) => {
                last.not_after = edge.not_after;
            }
            _ => joined.push(*edge),
        }
    }
    joined
}

/// What a filter selects of the tallies.
struct Selection<'f> {
    filters: &'f RunFilters,
    own: Option<&'f FlowRunFilter>,
    /// The scopes, with all that is counted in them where that is known.
    scopes: Vec<(Vec<u8>, Option<Cells>)>,
}

impl From<&Leaf> for BelongsTo {
    fn from(leaf: &Leaf) -> Self {
        Self { flow: leaf.flow, deployment: leaf.deployment, work_queue: leaf.work_queue }
    }
}

impl Selection<'_> {
    /// Returns the limits of the filter on the expected start time.
    fn window(&self) -> Option<TimeBounds> {
        self.own.and_then(FlowRunFilter::expected_start_time_bounds)
    }

    /// Adds what is in `cell` to `cells`, if the filter selects it.
    fn add(&self, cells: &mut Cells, cell: Cell, sums: Sums) {
        if self.own.is_none_or(|filter| filter.matches_cell(&cell)) {
            add(cells, cell, sums);
        }
    }

    /// Adds `run` to `cells`, if the filter selects it.
    fn add_run(&self, cells: &mut Cells, run: &FlowRun) {
        let run = TalliedRun::from(run);
        self.add(cells, run.cell(), run.sums());
    }
}

impl Store {
    /// Counts the flow runs that `filters` select, if tallies tell.
    pub(crate) async fn tallied_count(&self, filters: &RunFilters) -> Result<Option<u64>> {
        let Some(selection) = self.selection(filters).await? else { return Ok(None) };
        let Some(cells) = self.cells(&selection, selection.window()).await? else { return Ok(None) };
        let runs: i64 = cells.values().fold(0, |runs, sums| runs.saturating_add(sums.runs));
        Ok(Some(u64::try_from(runs).unwrap_or_default()))
    }

    /// Averages how late the flow runs are that `filters` select, at the time `now`, if tallies tell.
    pub(crate) async fn tallied_lateness(
        &self,
        filters: &RunFilters,
        now: Timestamp,
    ) -> Result<Option<AverageLateness>> {
        let Some(selection) = self.selection(filters).await? else { return Ok(None) };
        let window = selection.window();
        let Some(cells) = self.cells(&selection, window).await? else { return Ok(None) };
        // Those that wait and are not late yet: few, for nobody schedules far ahead.
        let from_now = TimeBounds { not_before: Some(now), not_after: None };
        let ahead = window.map_or(from_now, |window| window.and(from_now));
        let is_over = ahead.not_after.is_some_and(|last| last < now);
        let ahead = if is_over || !cells.keys().any(Cell::waits) {
            Cells::new()
        } else if let Some(ahead) = self.cells(&selection, Some(ahead)).await? {
            ahead
        } else {
            return Ok(None);
        };
        let mut average = AverageLateness::default();
        average.add_tallied(&cells, &ahead, now);
        Ok(Some(average))
    }

    /// Counts the flow runs that `filters` select in `history`, as they are at `now`, if tallies tell; says whether they do.
    pub(crate) async fn tallied_history(
        &self,
        filters: &RunFilters,
        history: &mut History,
        now: Timestamp,
    ) -> Result<bool> {
        let of_filter = filters.flow_runs.as_ref().and_then(FlowRunFilter::expected_start_time_bounds);
        let windows: Vec<TimeBounds> =
            history.windows().map(|window| of_filter.map_or(window, |bounds| bounds.and(window))).collect();
        let covers: Vec<Cover> = windows.iter().map(|window| cover(*window)).collect();
        let edges: usize = covers.iter().map(|cover| cover.edges.len()).sum();
        if edges > MOST_EDGES || covers.iter().all(Cover::is_of_edges) {
            return Ok(false);
        }
        let Some(selection) = self.selection(filters).await? else { return Ok(false) };
        let Some(tallied) = self.cells_of_each(&selection, &windows, &covers).await? else { return Ok(false) };
        let (mut live, mut all) = (BTreeMap::<StateType, (i64, TimeBounds)>::new(), 0_i64);
        for (index, (window, cells)) in windows.into_iter().zip(&tallied).enumerate() {
            for (cell, sums) in cells {
                all = all.saturating_add(sums.runs);
                if let Some(state_type) = cell.state_type.filter(|_| history.is_live(index, cell, now)) {
                    let (runs, whole) = live.entry(state_type).or_insert((0, window));
                    *runs = runs.saturating_add(sums.runs);
                    // The windows come in order.
                    whole.not_after = window.not_after;
                }
            }
        }
        let looked_at = live.values().fold(0_i64, |sum, (runs, _)| sum.saturating_add(*runs));
        if looked_at > FEW_LIVE.max(all / 2) {
            return Ok(false);
        }
        for (index, cells) in tallied.iter().enumerate() {
            history.add_tallied(index, cells, now);
        }
        for (state_type, (_, window)) in live {
            let group = Range::group(self, Index::ByState, &table::runs_in_state(state_type));
            let (from, to) = key_bounds(Some(window));
            // What waits is sorted by when it is expected; what is running, by when it started.
            let range = if state_type == StateType::Running { group } else { group.between(from, to) };
            let mut matcher = FlowRunMatcher::new(filters).expected_within(window);
            let visit = |run: &RunSummary| history.add_live(run, now);
            Box::pin(self.fold::<FlowRun>(Source::Ordered(range), &mut matcher, visit)).await?;
        }
        Ok(true)
    }

    /// Returns what `filters` select of the tallies, if tallies can tell.
    async fn selection<'f>(&self, filters: &'f RunFilters) -> Result<Option<Selection<'f>>> {
        let own = filters.flow_runs.as_ref();
        if filters.task_runs.is_some() || own.is_some_and(|filter| !filter.is_tallied()) {
            return Ok(None);
        }
        let relations = Relations::of_flow_runs(filters);
        if relations.ask_nothing() && !own.is_some_and(FlowRunFilter::asks_for_deployments) {
            return Ok(Some(Selection { filters, own, scopes: vec![(written(Scope::All), None)] }));
        }
        let every = TallyRange::whole(None);
        let (Some(found), _) = self.backend.tallies(&[every]).await? else { return Ok(None) };
        let mut leaves = BTreeMap::<Leaf, Cells>::new();
        for (TallyKey { scope, cell, .. }, sums) in found.sums {
            let Some(leaf) = leaf(&scope) else { continue };
            if own.is_none_or(|filter| filter.matches_leaf(&leaf))
                && let Ok(cell) = cell.parse()
            {
                add(leaves.entry(leaf).or_default(), cell, sums);
            }
        }
        let kept = Box::pin(self.leaves_of(filters, leaves.keys().copied().collect())).await?;
        let scopes = kept.into_iter().map(|leaf| (written(Scope::Leaf(leaf)), leaves.remove(&leaf)));
        Ok(Some(Selection { filters, own, scopes: scopes.collect() }))
    }

    /// Returns those of `leaves` that `filters` on what runs belong to select: first by what the filters name, then by asking.
    async fn leaves_of(&self, filters: &RunFilters, mut leaves: Vec<Leaf>) -> Result<Vec<Leaf>> {
        let mut rest = filters.clone();
        if let Some(deployments) = self.deployments_bound(filters.deployments.as_ref()).await? {
            leaves.retain(|leaf| leaf.deployment.is_some_and(|id| deployments.contains(&id)));
        }
        if let Some(flows) = self.flows_bound(filters.flows.as_ref()).await? {
            leaves.retain(|leaf| flows.contains(&leaf.flow));
        }
        if let Some(queues) = self.work_queues_bound(filters).await? {
            leaves.retain(|leaf| leaf.work_queue.is_some_and(|id| queues.contains(&id)));
            (rest.work_pools, rest.work_pool_queues) = (None, None);
        }
        Relations::of_flow_runs(&rest).keep(self, leaves).await
    }

    /// Returns what is counted of a selection within `window`, or at any time; nothing if that can't be told.
    async fn cells(&self, selection: &Selection<'_>, window: Option<TimeBounds>) -> Result<Option<Cells>> {
        let mut cells = Cells::new();
        let Some(window) = window else {
            let unknown = selection.scopes.iter().filter(|(_, known)| known.is_none());
            let whole = |(scope, _): &(Vec<u8>, _)| TallyRange::whole(Some(scope.clone()));
            if !self.add_ranges(selection, &unknown.map(whole).collect::<Vec<_>>(), &mut cells).await? {
                return Ok(None);
            }
            for (cell, sums) in selection.scopes.iter().filter_map(|(_, known)| known.as_ref()).flatten() {
                selection.add(&mut cells, cell.clone(), *sums);
            }
            return Ok(Some(cells));
        };
        if selection.scopes.len() > MOST_LEAVES {
            return Ok(None);
        }
        let cover = cover(window);
        let ranges = TallyRange::within(&cover, selection.scopes.iter().map(|(scope, _)| scope));
        if !self.add_ranges(selection, &ranges, &mut cells).await? {
            return Ok(None);
        }
        let edges = if selection.scopes.is_empty() { Vec::new() } else { cover.edges };
        for edge in edges {
            let add = |run: &FlowRun| selection.add_run(&mut cells, run);
            self.look_at(selection, edge, add).await?;
        }
        Ok(Some(cells))
    }

    /// Returns what is counted of a selection within each of `windows`, made up by `covers`; nothing if that can't be told.
    ///
    /// They come in order and don't overlap. Each scope is looked up once, and not in each window.
    async fn cells_of_each(
        &self,
        selection: &Selection<'_>,
        windows: &[TimeBounds],
        covers: &[Cover],
    ) -> Result<Option<Vec<Cells>>> {
        let mut tallied = vec![Cells::new(); windows.len()];
        if selection.scopes.is_empty() {
            return Ok(Some(tallied));
        }
        if selection.scopes.len() > MOST_LEAVES {
            return Ok(None);
        }
        // Which window the periods from one on are of, and where they end.
        let mut places = BTreeMap::<(Length, i64), (i64, usize)>::new();
        for (index, Cover { hours, minutes: [before, after], .. }) in covers.iter().enumerate() {
            let periods = [(Length::Hour, hours), (Length::Minute, before), (Length::Minute, after)];
            for (length, periods) in periods.into_iter().filter(|(_, periods)| !periods.is_empty()) {
                places.insert((length, periods.start), (periods.end, index));
            }
        }
        // Periods that are summed up at once are fewer numbers; ranges that are joined are fewer reads.
        let is_joined = places.len() * selection.scopes.len() > FEW_RANGES;
        let mut spans: Vec<(Length, i64, i64)> = Vec::new();
        for ((length, start), (end, _)) in &places {
            match spans.last_mut() {
                Some((of, _, until)) if is_joined && of == length && start.saturating_sub(*until) <= NEAR => {
                    *until = *end;
                }
                _ => spans.push((*length, *start, *end)),
            }
        }
        let of_scope = |(scope, _): &(Vec<u8>, _)| {
            let span = |(length, start, end): &(Length, i64, i64)| TallyRange {
                length: *length,
                scope: Some(scope.clone()),
                first: *start,
                last: end - 1,
                each: is_joined,
            };
            spans.iter().map(span).collect::<Vec<_>>()
        };
        let ranges: Vec<TallyRange> = selection.scopes.iter().flat_map(of_scope).collect();
        let (Some(found), _) = self.backend.tallies(&ranges).await? else { return Ok(None) };
        for (TallyKey { length, period, cell, .. }, sums) in found.sums {
            let place = places.range(..=(length, period)).next_back();
            if let Some(((of, _), (end, index))) = place
                && *of == length
                && period < *end
                && let Some(cells) = tallied.get_mut(*index)
                && let Ok(cell) = cell.parse()
            {
                selection.add(cells, cell, sums);
            }
        }
        for edge in joined(covers.iter().flat_map(|cover| &cover.edges)) {
            let add = |run: &FlowRun| {
                let expected = run.expected_start_time;
                let index = windows.iter().position(|window| expected.is_some_and(|time| window.contains(time)));
                if let Some(cells) = index.and_then(|index| tallied.get_mut(index)) {
                    selection.add_run(cells, run);
                }
            };
            self.look_at(selection, edge, add).await?;
        }
        Ok(Some(tallied))
    }

    /// Hands the runs of a selection that were expected within `edge` to `visit`.
    async fn look_at(
        &self,
        selection: &Selection<'_>,
        edge: TimeBounds,
        mut visit: impl FnMut(&FlowRun),
    ) -> Result<()> {
        let (from, to) = key_bounds(Some(edge));
        let range = Range::all(self, Index::ByTime, Collection::FlowRuns).between(from, to);
        let visit = |found: Vec<FlowRun>| found.iter().for_each(&mut visit);
        let mut matcher = FlowRunMatcher::new(selection.filters);
        Box::pin(self.visit_about(Source::Ordered(range), EDGE, &mut matcher, visit)).await
    }

    /// Adds what is in `ranges` to `cells`, as far as the filter selects it; says whether there are tallies.
    async fn add_ranges(&self, selection: &Selection<'_>, ranges: &[TallyRange], cells: &mut Cells) -> Result<bool> {
        if ranges.is_empty() {
            return Ok(true);
        }
        let (Some(found), _) = self.backend.tallies(ranges).await? else { return Ok(false) };
        for (TallyKey { cell, .. }, sums) in found.sums {
            if let Ok(cell) = cell.parse() {
                selection.add(cells, cell, sums);
            }
        }
        Ok(true)
    }
}
