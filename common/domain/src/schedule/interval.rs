//! Intervals: an anchor, and every so many seconds before and after it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::{
    CANDIDATES, Span,
    zone::{self, Occurrence, Zone},
};
use crate::model::{Seconds, Timestamp};

const DAY_MICROS: i64 = 86_400_000_000;

/// A moment in a zone: what its clocks show, and when that is.
#[derive(Clone, Copy)]
struct Moment {
    local: NaiveDateTime,
    instant: DateTime<Utc>,
}

/// Returns the instants of an interval schedule, in order, as Prefect's `IntervalSchedule.get_dates` does.
///
/// The first candidate is found by division in elapsed time, so the anchor's age costs nothing. From there on,
/// intervals of a day or more are added to what the zone's clocks show, shorter ones to the instant. A local time that
/// the clocks jump over becomes as much later, one that comes twice is taken at its second occurrence. Times are
/// compared by what the clocks show, so that of an hour that comes twice only the first is taken, as Prefect does.
pub(super) fn instants(interval: Seconds, anchor: Timestamp, zone: &Zone, span: Span) -> Vec<Timestamp> {
    if interval <= Seconds::ZERO {
        return Vec::new();
    }
    let start = zone.local(span.start.as_chrono());
    let end = span.end.map(|end| zone.local(end.as_chrono()));
    let elapsed = Seconds::between(anchor, span.start).as_f64();
    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates, and what is too far has no instant")]
    let steps = (elapsed / interval.as_f64()).trunc() as i64;
    let offset = TimeDelta::microseconds(interval.as_micros().saturating_mul(steps));
    let Some(first) = anchor.as_chrono().checked_add_signed(offset) else { return Vec::new() };
    let mut next = Some(Moment { local: zone.local(first), instant: first });
    while let Some(moment) = next.filter(|moment| moment.local < start) {
        next = advance(moment, interval, zone);
    }
    let mut found = BTreeMap::new();
    for _ in 0..CANDIDATES {
        let Some(moment) = next.filter(|moment| end.is_none_or(|end| moment.local <= end)) else { break };
        let Some(instant) = zone::timestamp(moment.instant) else { break };
        found.entry(moment.local).or_insert(instant);
        if found.len() >= span.count {
            break;
        }
        next = advance(moment, interval, zone);
    }
    found.into_values().collect()
}

fn advance(from: Moment, interval: Seconds, zone: &Zone) -> Option<Moment> {
    let interval_micros = TimeDelta::microseconds(interval.as_micros());
    if interval.as_micros() < DAY_MICROS {
        let instant = from.instant.checked_add_signed(interval_micros)?;
        return Some(Moment { local: zone.local(instant), instant });
    }
    let local = from.local.checked_add_signed(interval_micros)?;
    let (local, offset) = match zone.occurrence(local) {
        Occurrence::Once(offset) | Occurrence::Twice { second: offset, .. } => (local, offset),
        Occurrence::Never { before, after } => (local + TimeDelta::seconds(after - before), after),
    };
    Some(Moment { local, instant: zone::instant(local, offset)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instants_of(seconds: i64, anchor: &str, zone: &str, start: &str, count: usize) -> Vec<String> {
        let zone = Zone::named(zone).unwrap();
        let span = Span { start: start.parse().unwrap(), end: None, count };
        let interval = Seconds::from_micros(seconds * 1_000_000);
        instants(interval, anchor.parse().unwrap(), &zone, span).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keeps_the_hour_of_the_clock_over_days() {
        let daily = instants_of(86_400, "2026-03-06T14:00:00Z", "America/New_York", "2026-03-07T00:00:00Z", 3);
        assert_eq!(daily, ["2026-03-07T14:00:00Z", "2026-03-08T13:00:00Z", "2026-03-09T13:00:00Z"]);
    }

    #[test]
    fn skips_the_second_occurrence_of_a_repeated_hour() {
        let hourly = instants_of(3600, "2020-01-01T00:00:00Z", "America/New_York", "2026-11-01T04:30:00Z", 3);
        assert_eq!(hourly, ["2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z", "2026-11-01T08:00:00Z"]);
    }

    #[test]
    fn starts_near_the_beginning_whatever_the_anchor() {
        let every_second = instants_of(1, "1900-01-01T00:00:00Z", "UTC", "2026-01-01T00:00:00.500000Z", 2);
        assert_eq!(every_second, ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"]);
        let future = instants_of(86_400, "9000-01-01T00:00:00Z", "UTC", "2026-01-01T00:00:00Z", 1);
        assert_eq!(future, ["2026-01-01T00:00:00Z"]);
    }
}
