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

/// Returns the instants of an interval schedule, in order, as Prefect's `IntervalSchedule.get_dates` means them.
///
/// An interval below a day goes on in elapsed time. Prefect says so too, and yet skips the second occurrence of an hour that
/// comes twice (on Python 3.11, where it compares what the clocks show).
///
/// A longer one is added to what the zone's clocks show. A local time that the clocks jump over becomes as much later, and
/// so do all that follow it; one that comes twice is taken at its second occurrence. Times are compared by what the clocks
/// show, as Prefect does.
pub(super) fn instants(interval: Seconds, anchor: Timestamp, zone: &Zone, span: Span) -> Vec<Timestamp> {
    match interval.as_micros() {
        ..=0 => Vec::new(),
        micros if micros < DAY_MICROS => elapsed(micros, anchor, span),
        micros => Days { micros, anchor: Moment::of(anchor.as_chrono(), zone), zone }.instants(span),
    }
}

/// Returns the instants of an interval of so many microseconds in elapsed time; the anchor's age costs nothing.
fn elapsed(interval: i64, anchor: Timestamp, span: Span) -> Vec<Timestamp> {
    let (interval, anchor) = (i128::from(interval), i128::from(anchor.as_micros()));
    let distance = i128::from(span.start.as_micros()) - anchor;
    let skipped = distance.div_euclid(interval) + i128::from(distance.rem_euclid(interval) != 0);
    let instant = |step: i128| i64::try_from(anchor + step * interval).ok().and_then(Timestamp::from_micros);
    let within = |instant: &Timestamp| span.end.is_none_or(|end| *instant <= end);
    let count = span.count.clamp(1, CANDIDATES);
    (skipped..).map_while(instant).take_while(within).take(count).collect()
}

impl Moment {
    fn of(instant: DateTime<Utc>, zone: &Zone) -> Self {
        Self { local: zone.local(instant), instant }
    }
}

/// An interval of a day or more.
struct Days<'z> {
    micros: i64,
    anchor: Moment,
    zone: &'z Zone,
}

impl Days<'_> {
    fn instants(&self, span: Span) -> Vec<Timestamp> {
        let start = Moment::of(span.start.as_chrono(), self.zone);
        let end = span.end.map(|end| self.zone.local(end.as_chrono()));
        let Some((mut next, mut steps)) = self.first(start) else { return Vec::new() };
        while next.local < start.local {
            let Some(later) = self.after(next, &mut steps) else { return Vec::new() };
            next = later;
        }
        let mut found = BTreeMap::new();
        for _ in 0..CANDIDATES {
            if end.is_some_and(|end| next.local > end) {
                break;
            }
            let Some(instant) = zone::timestamp(next.instant) else { break };
            found.entry(next.local).or_insert(instant);
            if found.len() >= span.count {
                break;
            }
            let Some(later) = self.after(next, &mut steps) else { break };
            next = later;
        }
        found.into_values().collect()
    }

    /// Tells whether the interval is whole days, so that each occurrence is at the hour of the anchor.
    fn is_whole(&self) -> bool {
        self.micros % DAY_MICROS == 0
    }

    /// Returns a moment near `start` that the schedule goes through, and how many steps it is from the anchor, if it is
    /// before it and those up to the anchor are to be counted back from there.
    fn first(&self, start: Moment) -> Option<(Moment, i64)> {
        let is_before_anchor = start.local < self.anchor.local;
        if self.is_whole() && !is_before_anchor && !self.zone.is_utc() {
            return Some((self.sought(start)?, 0));
        }
        let distance = (start.instant - self.anchor.instant).num_microseconds()?;
        let mut steps = distance / self.micros;
        let mut first = self.jump(steps)?;
        while first.local > start.local {
            steps -= 1;
            first = self.jump(steps)?;
        }
        Some((first, if self.is_whole() && is_before_anchor { steps } else { 0 }))
    }

    /// Goes from the anchor to the first occurrence that is no earlier than `start`, in leaps from one change of the clocks
    /// to the next: an occurrence in a gap moves all that follow it.
    fn sought(&self, start: Moment) -> Option<Moment> {
        let days = self.micros / DAY_MICROS;
        let mut at = self.anchor;
        while at.instant < start.instant {
            let change = self.zone.change_after(at.instant).filter(|change| *change < start.instant);
            let boundary = change.map_or(start.local, |change| self.zone.local(change));
            let ahead = (boundary.date() - at.local.date()).num_days() / days - 1;
            at = self.plus(at, self.micros.checked_mul(ahead.max(1))?)?;
        }
        Some(at)
    }

    /// Returns the moment that is `steps` from the anchor, in one leap.
    fn jump(&self, steps: i64) -> Option<Moment> {
        let distance = self.micros.checked_mul(steps)?;
        if self.is_whole() && steps != 0 {
            return self.plus(self.anchor, distance);
        }
        let instant = self.anchor.instant.checked_add_signed(TimeDelta::microseconds(distance))?;
        Some(Moment::of(instant, self.zone))
    }

    /// Returns the occurrence after `moment`, which is `steps` from the anchor, where those are counted back from it.
    fn after(&self, moment: Moment, steps: &mut i64) -> Option<Moment> {
        if *steps < 0 {
            *steps += 1;
            return self.jump(*steps);
        }
        self.plus(moment, self.micros)
    }

    fn plus(&self, from: Moment, micros: i64) -> Option<Moment> {
        let local = from.local.checked_add_signed(TimeDelta::microseconds(micros))?;
        let (local, offset) = match self.zone.occurrence(local) {
            Occurrence::Once(offset) | Occurrence::Twice { second: offset, .. } => (local, offset),
            Occurrence::Never { before, after } => {
                (local.checked_add_signed(TimeDelta::seconds(after - before))?, after)
            }
        };
        Some(Moment { local, instant: zone::instant(local, offset)? })
    }
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
    fn goes_on_every_hour_when_the_clocks_go_back() {
        let hourly = instants_of(3600, "2020-01-01T00:00:00Z", "America/New_York", "2026-11-01T04:30:00Z", 3);
        assert_eq!(hourly, ["2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"]);
        let later = instants_of(3600, "2020-01-01T00:00:00Z", "America/New_York", "2026-11-01T05:30:00Z", 1);
        assert_eq!(later, ["2026-11-01T06:00:00Z"]);
    }

    #[test]
    fn an_occurrence_in_a_gap_moves_those_that_follow() {
        let daily = instants_of(86_400, "2026-03-07T07:30:00Z", "America/New_York", "2026-03-08T00:00:00Z", 2);
        assert_eq!(daily, ["2026-03-08T07:30:00Z", "2026-03-09T07:30:00Z"]);
        let later = instants_of(86_400, "2026-03-07T07:30:00Z", "America/New_York", "2027-01-01T00:00:00Z", 1);
        assert_eq!(later, ["2027-01-01T08:30:00Z"]);
    }

    #[test]
    fn ends_with_the_calendar() {
        let year = 365 * 86_400;
        let last = instants_of(year, "9998-06-01T00:00:00Z", "America/New_York", "9999-01-01T00:00:00Z", 9);
        assert_eq!(last, ["9999-06-01T00:00:00Z"]);
        let hours = instants_of(3600, "2020-01-01T00:00:00Z", "UTC", "9999-12-31T22:30:00Z", 9);
        assert_eq!(hours, ["9999-12-31T23:00:00Z"]);
    }

    #[test]
    fn starts_near_the_beginning_whatever_the_anchor() {
        let every_second = instants_of(1, "1900-01-01T00:00:00Z", "UTC", "2026-01-01T00:00:00.500000Z", 2);
        assert_eq!(every_second, ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"]);
        let future = instants_of(86_400, "9000-01-01T00:00:00Z", "UTC", "2026-01-01T00:00:00Z", 1);
        assert_eq!(future, ["2026-01-01T00:00:00Z"]);
    }
}
