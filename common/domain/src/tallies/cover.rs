//! Which buckets make up a window of time, and what is left at its edges.

use std::ops::Range;

use super::{MICROS_A_MINUTE, MINUTES_AN_HOUR};
use crate::{filter::TimeBounds, model::Timestamp};

/// The buckets that make up a window, each of which lies in it as a whole, and the rest of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    /// Hours since the epoch; without a beginning or an end where the window has none.
    pub hours: Range<i64>,
    /// Minutes since the epoch, before and after the hours.
    pub minutes: [Range<i64>; 2],
    /// What is less than a minute, and looked at run by run.
    pub edges: Vec<TimeBounds>,
}

impl Cover {
    /// Says whether there is no whole minute in the window.
    pub fn is_of_edges(&self) -> bool {
        self.hours.is_empty() && self.minutes.iter().all(Range::is_empty)
    }
}

/// Returns what makes up the window `bounds`.
pub fn cover(bounds: TimeBounds) -> Cover {
    let from = bounds.not_before.map(Timestamp::as_micros);
    let end = bounds.not_after.map(|last| last.as_micros().saturating_add(1));
    let first = from.map(|from| next_multiple(from, MICROS_A_MINUTE));
    let last = end.map(|end| end.div_euclid(MICROS_A_MINUTE));
    if let (Some(first), Some(last)) = (first, last)
        && first >= last
    {
        return Cover { edges: edge(from, end).into_iter().collect(), ..Cover::default() };
    }
    let edges = [edge(from, first.map(start_of)), edge(last.map(start_of), end)].into_iter().flatten().collect();
    let first_hour = first.map_or(i64::MIN, |first| next_multiple(first, MINUTES_AN_HOUR));
    let last_hour = last.map_or(i64::MAX, |last| last.div_euclid(MINUTES_AN_HOUR));
    if first_hour >= last_hour {
        // Neither is open then, for an open side is beyond every other.
        let minutes = [first.unwrap_or_default()..last.unwrap_or_default(), 0..0];
        return Cover { hours: 0..0, minutes, edges };
    }
    let before = first.map_or(0..0, |first| first..first_hour * MINUTES_AN_HOUR);
    let after = last.map_or(0..0, |last| last_hour * MINUTES_AN_HOUR..last);
    Cover { hours: first_hour..last_hour, minutes: [before, after], edges }
}

/// Returns the window from one instant until before another, in microseconds; none if it is empty or a side is open.
fn edge(from: Option<i64>, end: Option<i64>) -> Option<TimeBounds> {
    let (from, last) = (from?, end?.checked_sub(1)?);
    let instant = |micros| Some(Timestamp::nearest_to_micros(micros));
    (from <= last).then(|| TimeBounds { not_before: instant(from), not_after: instant(last) })
}

fn start_of(minute: i64) -> i64 {
    minute.saturating_mul(MICROS_A_MINUTE)
}

/// Returns how many times `unit` fits into the smallest multiple of it that is no less than `value`.
fn next_multiple(value: i64, unit: i64) -> i64 {
    value.div_euclid(unit) + i64::from(value.rem_euclid(unit) != 0)
}

#[cfg(test)]
mod tests {
    use proptest::{option, prelude::*};

    use super::*;

    fn time(micros: i64) -> Timestamp {
        Timestamp::nearest_to_micros(micros)
    }

    /// How often `instant` is counted.
    fn times(cover: &Cover, instant: Timestamp) -> usize {
        let minute = instant.as_micros().div_euclid(MICROS_A_MINUTE);
        let in_hours = cover.hours.contains(&minute.div_euclid(MINUTES_AN_HOUR));
        let in_minutes = cover.minutes.iter().filter(|minutes| minutes.contains(&minute)).count();
        let at_edges = cover.edges.iter().filter(|edge| edge.contains(instant)).count();
        usize::from(in_hours) + in_minutes + at_edges
    }

    proptest! {
        #[test]
        fn every_instant_of_a_window_is_counted_once_and_no_other(
            (from, length) in (option::of(-9_000_000_000i64..9_000_000_000), option::of(-1i64..15_000_000_000)),
            rounding in prop::sample::select(vec![1, 1_000_000, 60_000_000, 3_600_000_000]),
            instants in prop::collection::vec(-20_000_000_000i64..20_000_000_000, 30),
        ) {
            let from = from.map(|from| from / rounding * rounding);
            let to = length.map(|length| from.unwrap_or_default() + length / rounding * rounding);
            let bounds = TimeBounds { not_before: from.map(time), not_after: to.map(time) };
            let cover = cover(bounds);
            let near = from.into_iter().chain(to).flat_map(|edge| [edge - 1, edge, edge + 1]);
            for instant in instants.into_iter().chain(near).map(time) {
                prop_assert_eq!(times(&cover, instant), usize::from(bounds.contains(instant)), "{:?}", cover);
            }
        }
    }

    #[test]
    fn a_day_to_the_minute_is_hours_minutes_and_one_instant() {
        let bounds = TimeBounds {
            not_before: Some("2026-01-01T16:23:00Z".parse().unwrap()),
            not_after: Some("2026-01-02T16:23:00Z".parse().unwrap()),
        };
        let Cover { hours, minutes, edges } = cover(bounds);
        assert_eq!(hours.end - hours.start, 23);
        assert_eq!(minutes.map(|range| range.end - range.start), [37, 23]);
        assert_eq!(edges, [TimeBounds { not_before: bounds.not_after, not_after: bounds.not_after }]);
    }

    #[test]
    fn the_ends_of_the_calendar_are_minutes_and_an_instant_is_none() {
        let instant = Some(time(90_000_000));
        assert!(cover(TimeBounds { not_before: instant, not_after: instant }).is_of_edges());
        let all = cover(TimeBounds { not_before: Some(Timestamp::MIN), not_after: Some(Timestamp::MAX) });
        assert!(all.edges.is_empty() && all.hours.start < 0, "{all:?}");
        let open = cover(TimeBounds { not_before: None, not_after: Some(Timestamp::MAX) });
        assert_eq!((open.hours.start, open.edges.len()), (i64::MIN, 0));
    }
}
