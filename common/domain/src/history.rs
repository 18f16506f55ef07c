//! Histories: how many runs were in which state, by when they were expected to start (contract schema
//! `HistoryResponse`).

use serde::Serialize;

use error::{Error, Result};

use crate::{
    filter::TimeBounds,
    model::{RunSummary, Seconds, StateType, Timestamp},
    tallies::{Cell, Cells},
};

/// The most intervals that a history has; what comes after is left out, as Prefect leaves it out.
const MOST_INTERVALS: i64 = 500;

/// The shortest interval, in microseconds.
const SHORTEST_INTERVAL: i64 = 1_000_000;

/// Intervals of equal length, and the runs that were counted in them.
#[derive(Clone, Debug)]
pub struct History {
    start: i64,
    interval: i64,
    intervals: Vec<Vec<Tally>>,
}

/// The runs of an interval that are in one state.
#[derive(Clone, Debug)]
struct Tally {
    state_type: StateType,
    state_name: String,
    runs: u64,
    run_time: i64,
    lateness: i64,
}

/// An interval of a history (contract schema `HistoryResponse`).
#[allow(clippy::struct_field_names, reason = "the contract names them so")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interval {
    interval_start: Timestamp,
    interval_end: Timestamp,
    states: Vec<StateCount>,
}

/// The runs of an interval that are in one state (contract schema `HistoryResponseState`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StateCount {
    state_type: &'static str,
    state_name: String,
    count_runs: u64,
    sum_estimated_run_time: Seconds,
    sum_estimated_lateness: Seconds,
}

impl History {
    /// Makes an empty history from `start` to `end`, in intervals of `interval_seconds`, the last of which may end later.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] for intervals under one second, as Prefect words it, and for a history that ends
    /// beyond the calendar, where Prefect breaks down.
    pub fn new(start: Timestamp, end: Timestamp, interval_seconds: f64) -> Result<Self> {
        #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
        let interval = (interval_seconds * 1e6).round_ties_even() as i64;
        if interval < SHORTEST_INTERVAL {
            return Err(Error::Unprocessable("History interval must not be less than 1 second.".into()));
        }
        let elapsed = end.as_micros().saturating_sub(start.as_micros()).max(0);
        let whole = elapsed / interval + i64::from(elapsed % interval != 0);
        let count = usize::try_from(whole.min(MOST_INTERVALS)).unwrap_or_default();
        let history = Self { start: start.as_micros(), interval, intervals: vec![Vec::new(); count] };
        match history.limit(count) {
            Some(_) => Ok(history),
            None => Err(Error::Unprocessable("History must not end beyond the year 9999.".into())),
        }
    }

    /// Returns the first instant of the history and the first one after it; nothing where it has no interval.
    pub fn window(&self) -> Option<(Timestamp, Timestamp)> {
        let count = self.intervals.len();
        if count == 0 { None } else { Some((self.limit(0)?, self.limit(count)?)) }
    }

    /// Counts a run as it is at `now`, if it was expected to start within the history.
    ///
    /// Run times and lateness are cut to whole seconds, run by run, as Prefect does it on SQLite. A run without a state
    /// is in none to be counted under.
    pub fn add(&mut self, run: &RunSummary, now: Timestamp) {
        let (Some(expected), Some(state_type)) = (run.expected_start_time, run.state_type) else { return };
        let Some(states) = self.index_of(expected).and_then(|index| self.intervals.get_mut(index)) else { return };
        let tally = tally_of(states, state_type, run.state_name.as_deref());
        tally.runs += 1;
        tally.run_time = tally.run_time.saturating_add(whole_seconds(run.run_time(now)));
        tally.lateness = tally.lateness.saturating_add(whole_seconds(run.lateness(now)));
    }

    /// Returns the windows of the intervals, in order, each with both of its limits included.
    pub fn windows(&self) -> impl Iterator<Item = TimeBounds> {
        (0..self.intervals.len()).filter_map(|index| {
            let last = self.limit(index + 1)?.as_micros().checked_sub(1).and_then(Timestamp::from_micros);
            Some(TimeBounds { not_before: self.limit(index), not_after: last })
        })
    }

    /// Counts what is tallied in the interval number `index`, as it is at `now`, but for what is [live](Self::is_live).
    pub fn add_tallied(&mut self, index: usize, cells: &Cells, now: Timestamp) {
        let has_begun = self.has_begun(index, now);
        let Some(states) = self.intervals.get_mut(index) else { return };
        for (cell, sums) in cells {
            let Some(state_type) = cell.state_type.filter(|_| !is_live_in(cell, has_begun)) else { continue };
            let tally = tally_of(states, state_type, cell.state_name.as_deref());
            tally.runs = tally.runs.saturating_add(u64::try_from(sums.runs).unwrap_or_default());
            tally.run_time = tally.run_time.saturating_add(sums.run_time);
            tally.lateness = tally.lateness.saturating_add(sums.lateness);
        }
    }

    /// Says whether the runs of a cell have to be looked at one by one in the interval number `index`, as it is at `now`.
    ///
    /// Their run time or lateness grows, and is cut to whole seconds run by run, so that no sum gives it.
    pub fn is_live(&self, index: usize, cell: &Cell, now: Timestamp) -> bool {
        cell.state_type.is_some() && is_live_in(cell, self.has_begun(index, now))
    }

    /// Counts a run as [`Self::add`] does, if it is live.
    pub fn add_live(&mut self, run: &RunSummary, now: Timestamp) {
        let cell = Cell {
            state_type: run.state_type,
            state_name: run.state_name.clone(),
            // It is all the same.
            is_subflow: false,
            has_started: run.start_time.is_some(),
            is_expected: run.expected_start_time.is_some(),
        };
        let index = run.expected_start_time.and_then(|expected| self.index_of(expected));
        if index.is_some_and(|index| self.is_live(index, &cell, now)) {
            self.add(run, now);
        }
    }

    /// Says whether the interval number `index` has begun before `now`.
    fn has_begun(&self, index: usize, now: Timestamp) -> bool {
        self.limit(index).is_some_and(|start| start < now)
    }

    fn index_of(&self, expected: Timestamp) -> Option<usize> {
        let index = expected.as_micros().saturating_sub(self.start).div_euclid(self.interval);
        usize::try_from(index).ok().filter(|index| *index < self.intervals.len())
    }

    /// Returns the intervals, in order, and in each one its states by type and name.
    pub fn into_intervals(self) -> Vec<Interval> {
        let limits: Vec<_> = (0..=self.intervals.len()).map_while(|index| self.limit(index)).collect();
        limits
            .windows(2)
            .zip(self.intervals)
            .filter_map(|(limits, mut states)| {
                let &[interval_start, interval_end] = limits else { return None };
                states.sort_by(|a, b| a.order().cmp(&b.order()));
                let states = states.into_iter().map(|tally| StateCount {
                    state_type: tally.state_type.as_str(),
                    state_name: tally.state_name,
                    count_runs: tally.runs,
                    sum_estimated_run_time: Seconds::from_micros(tally.run_time.saturating_mul(1_000_000)),
                    sum_estimated_lateness: Seconds::from_micros(tally.lateness.saturating_mul(1_000_000)),
                });
                Some(Interval { interval_start, interval_end, states: states.collect() })
            })
            .collect()
    }

    /// Returns where the interval number `index` starts, as long as that is in the calendar of the contract's clients.
    fn limit(&self, index: usize) -> Option<Timestamp> {
        /// The first microsecond of the year 10000.
        const END_OF_CALENDAR: i64 = 253_402_300_800_000_000;
        let elapsed = i64::try_from(index).ok()?.checked_mul(self.interval)?;
        let limit = self.start.checked_add(elapsed).filter(|limit| *limit < END_OF_CALENDAR)?;
        Timestamp::from_micros(limit)
    }
}

impl Tally {
    fn of(state_type: StateType, state_name: &str) -> Self {
        Self { state_type, state_name: state_name.to_owned(), runs: 0, run_time: 0, lateness: 0 }
    }

    fn order(&self) -> (&'static str, &str) {
        (self.state_type.as_str(), &self.state_name)
    }
}

/// Returns the tally of a state, which is made if there is none.
fn tally_of<'t>(states: &'t mut Vec<Tally>, state_type: StateType, name: Option<&str>) -> &'t mut Tally {
    let name = name.unwrap_or(state_type.default_name());
    match states.iter().position(|counted| counted.state_type == state_type && counted.state_name == name) {
        Some(place) => &mut states[place],
        None => states.push_mut(Tally::of(state_type, name)),
    }
}

fn is_live_in(cell: &Cell, has_begun: bool) -> bool {
    cell.state_type == Some(StateType::Running) || (has_begun && cell.waits())
}

/// Returns a length of time in the whole seconds that Prefect counts it with on SQLite, a negative one as none.
pub(crate) fn whole_seconds(length: Seconds) -> i64 {
    length.as_micros().max(0) / 1_000_000
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn history(end: &str, interval_seconds: f64) -> Result<History> {
        History::new(time("2026-01-01T00:00:00.5Z"), time(end), interval_seconds)
    }

    fn answer(history: History) -> Value {
        serde_json::to_value(history.into_intervals()).unwrap()
    }

    #[test]
    fn covers_the_whole_time_in_equal_intervals() {
        let history = history("2026-01-01T00:00:02Z", 1.0).unwrap();
        let expected = json!([
            {"interval_start": "2026-01-01T00:00:00.500000Z", "interval_end": "2026-01-01T00:00:01.500000Z", "states": []},
            {"interval_start": "2026-01-01T00:00:01.500000Z", "interval_end": "2026-01-01T00:00:02.500000Z", "states": []},
        ]);
        assert_eq!(answer(history), expected);
    }

    #[test]
    fn counts_runs_by_state_in_whole_seconds() {
        let mut history = history("2026-01-01T00:01:00Z", 60.0).unwrap();
        let now = time("2026-01-01T00:00:10.4Z");
        let run = RunSummary {
            expected_start_time: Some(time("2026-01-01T00:00:00.5Z")),
            start_time: Some(time("2026-01-01T00:00:03.4Z")),
            state_type: Some(StateType::Running),
            state_name: Some("Running".into()),
            state_timestamp: Some(time("2026-01-01T00:00:08.4Z")),
            total_run_time: Seconds::from_micros(999_999),
        };
        history.add(&run, now);
        history.add(&run, now);
        history.add(
            &RunSummary { state_type: Some(StateType::Completed), state_name: Some("Cached".into()), ..run.clone() },
            now,
        );
        for outside in ["2026-01-01T00:00:00.499999Z", "2026-01-01T00:01:00.5Z"] {
            history.add(&RunSummary { expected_start_time: Some(time(outside)), ..run.clone() }, now);
        }
        history.add(&RunSummary { state_type: None, ..run }, now);
        let states = answer(history)[0]["states"].clone();
        let of = |r#type, name, runs, run_time, lateness| {
            json!({"state_type": r#type, "state_name": name, "count_runs": runs,
                "sum_estimated_run_time": run_time, "sum_estimated_lateness": lateness})
        };
        assert_eq!(states, json!([of("COMPLETED", "Cached", 1, 0.0, 2.0), of("RUNNING", "Running", 2, 4.0, 4.0)]));
    }

    #[test]
    fn is_empty_when_it_ends_before_it_starts() {
        let history = history("2020-01-01T00:00:00Z", 1.0).unwrap();
        assert_eq!((history.window(), answer(history)), (None, json!([])));
    }

    #[test]
    fn has_at_most_500_intervals() {
        assert_eq!(history("2027-01-01T00:00:00Z", 1.0).unwrap().into_intervals().len(), 500);
    }

    #[test]
    fn refuses_intervals_that_are_too_short_or_too_long() {
        for seconds in [0.5, 0.0, -3_600.0, f64::NAN, 1e12, 1e300] {
            let refused = history("2027-01-01T00:00:00Z", seconds);
            assert!(matches!(refused, Err(Error::Unprocessable(_))), "{seconds}");
        }
        assert!(history("2027-01-01T00:00:00Z", 0.999_999_9).is_ok(), "microseconds are rounded");
    }
}
