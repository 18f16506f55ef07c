//! A run takes no longer than so many seconds (the client's `TimeToCompletionSla`).
//!
//! What counts is the time in running states: a run that is paused, or waits to be retried, takes none.

use super::{Verdict, judge};
use domain::model::{FlowRun, StateType, Timestamp};

/// Judges `run` by an agreement on `seconds`, made at `made`.
pub(super) fn verdict(run: &FlowRun, seconds: i64, made: Option<Timestamp>, now: Timestamp) -> Verdict {
    let Some(state) = &run.state else { return Verdict::Kept };
    #[allow(clippy::cast_precision_loss, reason = "nobody waits for so long")]
    let left = seconds as f64 - run.total_run_time.as_f64();
    match state.r#type {
        StateType::Running => judge(state.timestamp, left, None, made, now),
        r#type if r#type.is_terminal() => judge(state.timestamp, left, Some(state.timestamp), made, now),
        // It has run for too long, and may go on.
        _ if left < 0.0 => judge(state.timestamp, left, None, made, now),
        _ => Verdict::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::{FlowId, FlowRunId, Seconds, State, StateId};

    fn at(second: u32) -> Timestamp {
        format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
    }

    fn run(r#type: StateType, entered: u32, has_run: i64) -> FlowRun {
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "run", at(0));
        run.state = Some(State::new(StateId::new(), r#type, at(entered)));
        run.total_run_time = Seconds::from_micros(has_run * 1_000_000);
        run
    }

    #[test]
    fn a_running_run_has_what_is_left_of_the_time() {
        let verdict = |has_run, now| verdict(&run(StateType::Running, 20, has_run), 10, None, at(now));
        assert_eq!(verdict(0, 29), Verdict::Open { deadline: at(30) });
        assert_eq!(verdict(4, 25), Verdict::Open { deadline: at(26) });
        assert_eq!(verdict(4, 26), Verdict::Violated { since: at(26) });
    }

    #[test]
    fn waiting_takes_no_time() {
        for r#type in [StateType::Paused, StateType::Scheduled, StateType::Pending] {
            assert_eq!(verdict(&run(r#type, 20, 9), 10, None, at(59)), Verdict::Kept);
            assert_eq!(verdict(&run(r#type, 20, 13), 10, None, at(59)), Verdict::Violated { since: at(17) });
        }
    }

    #[test]
    fn an_ended_run_is_judged_by_what_it_took() {
        assert_eq!(verdict(&run(StateType::Failed, 20, 10), 10, None, at(59)), Verdict::Kept);
        let resolved = Verdict::Resolved { since: at(17), until: at(20) };
        assert_eq!(verdict(&run(StateType::Completed, 20, 13), 10, None, at(59)), resolved);
    }
}
