//! Histories: how many runs were in which state, by when they were expected to start (contract schema
//! `HistoryResponse`).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    error::{Error, Result},
    model::{Seconds, StateType, Timestamp},
};

/// The most intervals that a history has; what comes after is left out, as upstream leaves it out.
const MOST_INTERVALS: i64 = 500;

/// The shortest interval, in microseconds.
const SHORTEST_INTERVAL: i64 = 1_000_000;

/// Intervals of equal length, and the runs that were counted in them.
#[derive(Clone, Debug)]
pub struct History {
    start: i64,
    interval: i64,
    intervals: Vec<BTreeMap<(&'static str, String), Tally>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    runs: u64,
    run_time: i64,
    lateness: i64,
}

/// What a history looks at in a run.
#[derive(Clone, Copy, Debug)]
pub struct Occurrence<'r> {
    /// When the run was expected to start.
    pub expected_start_time: Timestamp,
    /// The type of the run's state.
    pub state_type: StateType,
    /// The name of the run's state.
    pub state_name: &'r str,
    /// How long the run was running so far.
    pub run_time: Seconds,
    /// How late the run started, or is.
    pub lateness: Seconds,
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
    /// [`Error::Unprocessable`] for intervals under one second, as upstream words it, and for a history that ends
    /// beyond the calendar, where upstream breaks down.
    pub fn new(start: Timestamp, end: Timestamp, interval_seconds: f64) -> Result<Self> {
        #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
        let interval = (interval_seconds * 1e6).round_ties_even() as i64;
        if interval < SHORTEST_INTERVAL {
            return Err(Error::Unprocessable("History interval must not be less than 1 second.".into()));
        }
        let elapsed = end.as_micros().saturating_sub(start.as_micros()).max(0);
        let whole = elapsed / interval + i64::from(elapsed % interval != 0);
        let count = usize::try_from(whole.min(MOST_INTERVALS)).unwrap_or_default();
        let history = Self { start: start.as_micros(), interval, intervals: vec![BTreeMap::new(); count] };
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

    /// Counts a run, if it was expected to start within the history.
    ///
    /// Run times and lateness are cut to whole seconds, run by run, as upstream does it on SQLite.
    pub fn add(&mut self, run: Occurrence<'_>) {
        let index = run.expected_start_time.as_micros().saturating_sub(self.start).div_euclid(self.interval);
        let Some(states) = usize::try_from(index).ok().and_then(|index| self.intervals.get_mut(index)) else { return };
        let tally = states.entry((run.state_type.as_str(), run.state_name.to_owned())).or_default();
        tally.runs += 1;
        tally.run_time = tally.run_time.saturating_add(whole_seconds(run.run_time));
        tally.lateness = tally.lateness.saturating_add(whole_seconds(run.lateness));
    }

    /// Returns the intervals, in order, and in each one its states by type and name.
    pub fn into_intervals(self) -> Vec<Interval> {
        let limits: Vec<_> = (0..=self.intervals.len()).map_while(|index| self.limit(index)).collect();
        limits
            .windows(2)
            .zip(self.intervals)
            .filter_map(|(limits, states)| {
                let &[interval_start, interval_end] = limits else { return None };
                let states = states.into_iter().map(|((state_type, state_name), tally)| StateCount {
                    state_type,
                    state_name,
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

fn whole_seconds(length: Seconds) -> i64 {
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
        let run = Occurrence {
            expected_start_time: time("2026-01-01T00:00:00.5Z"),
            state_type: StateType::Running,
            state_name: "Running",
            run_time: Seconds::from_micros(2_999_999),
            lateness: Seconds::from_micros(-5_000_000),
        };
        history.add(run);
        history.add(run);
        history.add(Occurrence { state_type: StateType::Completed, state_name: "Cached", ..run });
        for outside in ["2026-01-01T00:00:00.499999Z", "2026-01-01T00:01:00.5Z"] {
            history.add(Occurrence { expected_start_time: time(outside), ..run });
        }
        let states = answer(history)[0]["states"].clone();
        let of = |r#type, name, runs, run_time| {
            json!({"state_type": r#type, "state_name": name, "count_runs": runs,
                "sum_estimated_run_time": run_time, "sum_estimated_lateness": 0.0})
        };
        assert_eq!(states, json!([of("COMPLETED", "Cached", 1, 2.0), of("RUNNING", "Running", 2, 4.0)]));
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
