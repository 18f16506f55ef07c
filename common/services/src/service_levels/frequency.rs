//! From one run that completes to the next it takes no longer than some time (the client's `FrequencySla`).

use super::{Verdict, judge};
use domain::model::{Seconds, Timestamp};

/// Judges the time since a run last completed, at `completed`, until one completes again, at `again`.
///
/// It counts from the making of the agreement, at `made`, if that was later; without either there is nothing to judge.
pub(super) fn verdict(
    completed: Option<Timestamp>,
    again: Option<Timestamp>,
    stale_after: Seconds,
    made: Option<Timestamp>,
    now: Timestamp,
) -> Verdict {
    match completed.max(made) {
        Some(start) => judge(start, stale_after.as_f64(), again, made, now),
        None => Verdict::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u32) -> Timestamp {
        format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
    }

    fn judged(completed: Option<u32>, again: Option<u32>, made: Option<u32>, now: u32) -> Verdict {
        let ten_seconds = Seconds::from_micros(10_000_000);
        verdict(completed.map(at), again.map(at), ten_seconds, made.map(at), at(now))
    }

    #[test]
    fn it_counts_from_the_last_completion_or_from_the_making() {
        assert_eq!(judged(None, None, None, 59), Verdict::Kept);
        assert_eq!(judged(None, None, Some(20), 29), Verdict::Open { deadline: at(30) });
        assert_eq!(judged(Some(25), None, Some(20), 29), Verdict::Open { deadline: at(35) });
        assert_eq!(judged(Some(5), None, Some(20), 30), Verdict::Violated { since: at(30) });
    }

    #[test]
    fn the_next_completion_is_in_time_or_ends_the_violation() {
        assert_eq!(judged(Some(25), Some(35), Some(20), 59), Verdict::Kept);
        assert_eq!(judged(Some(25), Some(36), Some(20), 59), Verdict::Resolved { since: at(35), until: at(36) });
    }
}
