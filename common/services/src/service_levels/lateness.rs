//! A run starts no later than some time after it was expected to (the client's `LatenessSla`).

use super::{Verdict, judge};
use domain::model::{FlowRun, Seconds, Timestamp};

/// Judges `run` by an agreement on `within`, made at `made`.
///
/// A run that is cancelled before it starts is late no more.
pub(super) fn verdict(run: &FlowRun, within: Seconds, made: Option<Timestamp>, now: Timestamp) -> Verdict {
    let Some(expected) = run.expected_start_time else { return Verdict::Kept };
    judge(expected, within.as_f64(), run.start_time, made, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::{FlowId, FlowRunId};

    fn at(second: u32) -> Timestamp {
        format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
    }

    #[test]
    fn a_run_is_late_until_it_starts() {
        let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "run", at(0));
        let judged = |run: &FlowRun, now| verdict(run, Seconds::from_micros(5_000_000), None, at(now));
        assert_eq!(judged(&run, 59), Verdict::Kept);
        run.expected_start_time = Some(at(10));
        assert_eq!(judged(&run, 12), Verdict::Open { deadline: at(15) });
        assert_eq!(judged(&run, 16), Verdict::Violated { since: at(15) });
        run.start_time = Some(at(20));
        assert_eq!(judged(&run, 30), Verdict::Resolved { since: at(15), until: at(20) });
        run.start_time = Some(at(14));
        assert_eq!(judged(&run, 30), Verdict::Kept);
    }
}
