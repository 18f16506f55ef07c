//! What is estimated of a run, flow run or task run, and the little that it takes to estimate it.

use std::{fmt, str::FromStr};

use super::{FlowRun, Seconds, StateType, TaskRun, Timestamp};

/// The times and the state of a run.
///
/// As text it is what the store keeps beside each run, so that a history over very many of them reads little: the
/// state's type, the four times in microseconds, and the state's name, with `|` between them and nothing for what is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSummary {
    /// When the run was expected to start, first.
    pub expected_start_time: Option<Timestamp>,
    /// When the run first started.
    pub start_time: Option<Timestamp>,
    /// The type of the current state.
    pub state_type: Option<StateType>,
    /// The name of the current state.
    pub state_name: Option<String>,
    /// When the run entered the current state.
    pub state_timestamp: Option<Timestamp>,
    /// How long the run was running, without the current execution.
    pub total_run_time: Seconds,
}

macro_rules! summary {
    ($($run:ident),+) => {$(
        impl From<&$run> for RunSummary {
            fn from(run: &$run) -> Self {
                Self {
                    expected_start_time: run.expected_start_time,
                    start_time: run.start_time,
                    state_type: run.state.as_ref().map(|state| state.r#type).or(run.state_type),
                    state_name: run.state_name.clone(),
                    state_timestamp: run.state.as_ref().map(|state| state.timestamp),
                    total_run_time: run.total_run_time,
                }
            }
        }
    )+};
}

summary!(FlowRun, TaskRun);

impl RunSummary {
    /// Returns the total run time, and the time since the run entered its state while that is a running one.
    ///
    /// A flow run and a task run are estimated alike (Prefect's `Run.estimated_run_time`).
    pub fn run_time(&self, now: Timestamp) -> Seconds {
        match (self.state_type, self.state_timestamp) {
            (Some(StateType::Running), Some(entered)) => self.total_run_time + Seconds::between(entered, now),
            _ => self.total_run_time,
        }
    }

    /// Returns the time from the expected start to the start, or to `now` while the run has neither started nor ended.
    ///
    /// A flow run and a task run are estimated alike (Prefect's `Run.estimated_start_time_delta`). A run that
    /// started, or is to start, no later than expected is not late at all.
    pub fn lateness(&self, now: Timestamp) -> Seconds {
        self.late_between(now).map_or(Seconds::ZERO, |(expected, start)| Seconds::between(expected, start))
    }

    /// Returns when a late run was expected, and when it started instead: `now`, while it has neither started nor ended.
    pub fn late_between(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let ended = self.state_type.is_some_and(StateType::is_terminal);
        match (self.start_time, self.expected_start_time) {
            (Some(start), Some(expected)) if start > expected => Some((expected, start)),
            (None, Some(expected)) if expected < now && !ended => Some((expected, now)),
            _ => None,
        }
    }
}

impl fmt::Display for RunSummary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.as_micros().to_string());
        write!(
            formatter,
            "{}|{}|{}|{}|{}|{}",
            self.state_type.map_or("", StateType::as_str),
            micros(self.expected_start_time),
            micros(self.start_time),
            micros(self.state_timestamp),
            self.total_run_time.as_micros(),
            self.state_name.as_deref().unwrap_or_default()
        )
    }
}

/// Says that a text is not the summary of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not the summary of a run")]
pub struct NotASummary;

impl FromStr for RunSummary {
    type Err = NotASummary;

    fn from_str(text: &str) -> Result<Self, NotASummary> {
        fn some<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, NotASummary> {
            if text.is_empty() { Ok(None) } else { read(text).map(Some).ok_or(NotASummary) }
        }
        let mut fields = text.splitn(6, '|');
        let mut next = || fields.next().ok_or(NotASummary);
        let time = |text| some(text, |text| Some(Timestamp::nearest_to_micros(text.parse().ok()?)));
        let state_type = |text| some(text, |text| StateType::ALL.into_iter().find(|kind| kind.as_str() == text));
        Ok(Self {
            state_type: state_type(next()?)?,
            expected_start_time: time(next()?)?,
            start_time: time(next()?)?,
            state_timestamp: time(next()?)?,
            total_run_time: Seconds::from_micros(next()?.parse().map_err(|_| NotASummary)?),
            state_name: some(next()?, |text| Some(text.to_owned()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-31T09:30:00.000001Z".parse().unwrap()
    }

    #[test]
    fn is_read_as_it_was_written() {
        let whole = RunSummary {
            expected_start_time: Some(now()),
            start_time: Timestamp::from_micros(-1),
            state_type: Some(StateType::Running),
            state_name: Some("a|b \"c\"".into()),
            state_timestamp: Some(now()),
            total_run_time: Seconds::from_micros(1_500_000),
        };
        for summary in [whole, RunSummary::default()] {
            assert_eq!(summary.to_string().parse(), Ok(summary));
        }
        for wrong in ["", "RUNNING||||0", "DONE||||0|", "||||x|", "|x|||0|"] {
            assert_eq!(wrong.parse::<RunSummary>(), Err(NotASummary), "{wrong}");
        }
    }

    #[test]
    fn estimates_the_run_time_while_running() {
        let mut summary = RunSummary { state_timestamp: Some(now()), ..RunSummary::default() };
        let later = now().plus_seconds(2.0);
        assert_eq!(summary.run_time(later), Seconds::ZERO);
        summary.state_type = Some(StateType::Running);
        assert_eq!(summary.run_time(later), Seconds::from_micros(2_000_000));
    }
}
