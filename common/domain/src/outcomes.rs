//! How runs ended, in intervals of their start time (contract schema `TaskRunCount`).

use serde::Serialize;

use crate::model::{RunSummary, StateType, Timestamp};

/// How many intervals there are.
const INTERVALS: u8 = 20;

const MICROS_A_MINUTE: i64 = 60_000_000;
const MILLIS_A_DAY: f64 = 86_400_000.0;
const SECONDS_A_DAY: f64 = 86_400.0;

/// The runs of an interval, by whether they failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IntervalOutcomes {
    completed: u64,
    failed: u64,
}

/// Intervals of equal length from the start of a minute to the end of one, and the runs that were counted in them.
#[derive(Clone, Debug)]
pub struct Outcomes {
    start: i64,
    end: i64,
    /// The length of an interval in seconds.
    interval: f64,
    intervals: [IntervalOutcomes; INTERVALS as usize],
}

impl Outcomes {
    /// Makes empty intervals from the minute of `after` to the one of `before`.
    #[allow(clippy::cast_precision_loss, reason = "an f64 holds microseconds exactly for 285 years")]
    pub fn new(after: Timestamp, before: Timestamp) -> Self {
        let minute = |time: Timestamp| time.as_micros().div_euclid(MICROS_A_MINUTE) * MICROS_A_MINUTE;
        let (start, end) = (minute(after), minute(before) + MICROS_A_MINUTE - 1);
        let interval = ((end - start) as f64 / f64::from(INTERVALS)).round_ties_even() / 1e6;
        Self { start, end, interval, intervals: Default::default() }
    }

    /// Counts a run that has ended, if it started within the intervals.
    ///
    /// What does not start within them breaks Prefect, which counts it nowhere.
    pub fn add(&mut self, run: &RunSummary) {
        let (Some(started), Some(state_type)) = (run.start_time, run.state_type) else { return };
        if !(self.start..=self.end).contains(&started.as_micros()) {
            return;
        }
        // Prefect subtracts on SQLite: days of whole milliseconds, as floats.
        let elapsed = (days(started.as_micros()) - days(self.start)) * SECONDS_A_DAY;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
        let index = (elapsed / self.interval).floor() as usize;
        let last = self.intervals.len() - 1;
        let Some(outcomes) = self.intervals.get_mut(index.min(last)) else { return };
        match state_type {
            StateType::Crashed | StateType::Failed => outcomes.failed += 1,
            _ => outcomes.completed += 1,
        }
    }

    /// Returns the intervals, in order.
    pub fn into_intervals(self) -> Vec<IntervalOutcomes> {
        self.intervals.to_vec()
    }
}

/// Returns the Julian day of an instant, as SQLite does.
#[allow(clippy::cast_precision_loss, reason = "an f64 holds the milliseconds of the calendar exactly")]
fn days(micros: i64) -> f64 {
    /// The Julian day of the Unix epoch, in milliseconds.
    const EPOCH: i64 = 210_866_760_000_000;
    (EPOCH + (micros + 500).div_euclid(1_000)) as f64 / MILLIS_A_DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn counted(runs: &[(&str, StateType)]) -> Vec<(usize, u64, u64)> {
        let mut outcomes = Outcomes::new(time("2026-01-01T00:00:30Z"), time("2026-01-01T00:19:30Z"));
        for (started, state_type) in runs {
            let run =
                RunSummary { start_time: Some(time(started)), state_type: Some(*state_type), ..RunSummary::default() };
            outcomes.add(&run);
        }
        outcomes.add(&RunSummary { state_type: Some(StateType::Completed), ..RunSummary::default() });
        let intervals = outcomes.into_intervals().into_iter().enumerate();
        intervals
            .map(|(index, outcomes)| (index, outcomes.completed, outcomes.failed))
            .filter(|(_, completed, failed)| completed + failed > 0)
            .collect()
    }

    #[test]
    fn counts_by_outcome_in_twenty_intervals() {
        let runs = [
            ("2026-01-01T00:00:30Z", StateType::Completed),
            ("2026-01-01T00:00:59Z", StateType::Cancelled),
            ("2026-01-01T00:00:59Z", StateType::Failed),
            ("2026-01-01T00:01:00.001Z", StateType::Crashed),
            ("2026-01-01T00:19:59.999Z", StateType::Completed),
        ];
        assert_eq!(counted(&runs), [(0, 2, 1), (1, 0, 1), (19, 1, 0)]);
    }

    #[test]
    fn counts_nothing_outside_of_them() {
        let runs = [("2025-12-31T23:59:59Z", StateType::Completed), ("2026-01-01T00:20:00Z", StateType::Failed)];
        assert_eq!(counted(&runs), []);
        let backwards = Outcomes::new(time("2026-01-01T00:00:00Z"), time("2020-01-01T00:00:00Z"));
        assert_eq!(backwards.into_intervals(), [IntervalOutcomes::default(); 20]);
    }
}
