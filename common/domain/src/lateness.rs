//! Lateness: how much later than expected runs start, on average (contract operation `average_flow_run_lateness`).

use crate::{
    model::{RunSummary, Timestamp},
    tallies::{Cells, Sums},
};

/// An average that is made run by run.
#[derive(Clone, Copy, Debug, Default)]
pub struct AverageLateness {
    runs: u64,
    seconds: i64,
}

impl AverageLateness {
    /// Adds a run as it is at `now`; one that is not late counts with zero.
    ///
    /// Prefect on SQLite takes both instants in whole seconds.
    pub fn add(&mut self, run: &RunSummary, now: Timestamp) {
        self.runs += 1;
        if let Some((expected, start)) = run.late_between(now) {
            self.seconds = self.seconds.saturating_add(start.as_seconds() - expected.as_seconds());
        }
    }

    /// Adds the runs that are tallied in `cells`, as they are at `now`; `ahead` are those of them that are expected later.
    pub fn add_tallied(&mut self, cells: &Cells, ahead: &Cells, now: Timestamp) {
        let all = cells.values().fold(Sums::default(), |all, sums| all.plus(*sums));
        let waiting = |cells: &Cells| {
            let waiting = cells.iter().filter(|(cell, _)| cell.waits());
            waiting.fold(Sums::default(), |all, (_, sums)| all.plus(*sums))
        };
        let late = waiting(cells).plus(-waiting(ahead));
        let until_now = late.runs.saturating_mul(now.as_seconds()).saturating_sub(late.expected);
        self.runs = self.runs.saturating_add(u64::try_from(all.runs).unwrap_or_default());
        self.seconds = self.seconds.saturating_add(all.late).saturating_add(until_now);
    }

    /// Returns the average in seconds, or nothing of no run.
    #[expect(clippy::cast_precision_loss, reason = "an average of so many seconds may be off by less than one")]
    pub fn seconds(self) -> Option<f64> {
        (self.runs > 0).then(|| self.seconds as f64 / self.runs as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_whole_seconds_over_late_runs_and_others() {
        let time = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let now = time("2026-01-01T00:00:10.2Z").unwrap();
        let mut average = AverageLateness::default();
        assert_eq!(average.seconds(), None);
        for (expected, start) in [
            (time("2026-01-01T00:00:00.9Z"), time("2026-01-01T00:00:03.1Z")),
            (time("2026-01-01T00:00:05.9Z"), None),
            (time("2026-01-01T00:00:05Z"), time("2026-01-01T00:00:04Z")),
            (None, None),
        ] {
            let run = RunSummary { expected_start_time: expected, start_time: start, ..RunSummary::default() };
            average.add(&run, now);
        }
        assert_eq!(average.seconds(), Some(2.0));
    }
}
