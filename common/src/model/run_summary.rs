//! What is estimated of a run, flow run or task run, and the little that it takes to estimate it.

use serde::Deserialize;

use super::{FlowRun, Seconds, StateType, TaskRun, Timestamp};

/// The times and the state of a run, as far as an index carries them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
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
                    state_timestamp: run.state.as_ref().map(|state| state.timestamp).or(run.state_timestamp),
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
    /// A flow run and a task run are estimated alike (upstream's `Run.estimated_run_time`).
    pub fn run_time(&self, now: Timestamp) -> Seconds {
        match (self.state_type, self.state_timestamp) {
            (Some(StateType::Running), Some(entered)) => self.total_run_time + Seconds::between(entered, now),
            _ => self.total_run_time,
        }
    }

    /// Returns the time from the expected start to the start, or to `now` while the run has neither started nor ended.
    ///
    /// A flow run and a task run are estimated alike (upstream's `Run.estimated_start_time_delta`). A run that
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FlowId, FlowRunId, State, StateId};

    fn now() -> Timestamp {
        "2026-01-31T09:30:00Z".parse().unwrap()
    }

    #[test]
    fn is_the_same_of_a_run_and_of_what_an_index_carries_of_it() {
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "brave-otter", now());
        run.state = Some(State::new(StateId::new(), StateType::Running, now()));
        (run.state_type, run.state_name) = (Some(StateType::Running), Some("Running".into()));
        run.expected_start_time = Some(now());
        let whole = RunSummary::from(&run);
        (run.state, run.state_timestamp) = (None, Some(now()));
        assert_eq!(RunSummary::from(&run), whole);
        assert_eq!(whole.run_time(now().plus_seconds(2.0)), Seconds::from_micros(2_000_000));
    }
}
