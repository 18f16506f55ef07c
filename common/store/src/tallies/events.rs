//! Events by name, hour and minute, and what is counted by that.
//!
//! An event is never changed, but expires. Counts by resource are none of these: there are as many resources as runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Deltas, Length, Sums, Tallied, TallyKey, TallyRange, tallied};
use crate::{Item, Store, query::Direction};
use domain::{
    event_counts::{CountsByTime, CountsByValue},
    filter::{EventFilter, TimeBounds},
    model::Timestamp,
    tallies::{Cover, MICROS_A_MINUTE, MICROS_A_SECOND, MINUTES_AN_HOUR, add, cover},
};
use error::Result;

/// The scope of all events; scopes of flow runs are empty or begin with a smaller number.
pub(super) const EVENTS: [u8; 1] = [0xE0];

/// How many windows of less than a minute are read for counts by time; where there are more, all events are looked at.
const MOST_EDGES: usize = 120;

/// How many hours a window has at most for counts by time: more than two years.
const MOST_HOURS: i64 = 20_000;

/// The fields of an event that decide where it is counted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct TalliedEvent {
    occurred: Timestamp,
    event: String,
}

/// Returns how tallies change when an event is written or deleted.
pub(super) fn deltas(before: Option<&Item>, after: Option<&Item>) -> Deltas {
    let mut deltas = Deltas::new();
    for (event, runs) in [(before, -1), (after, 1)] {
        let Some(TalliedEvent { occurred, event }) = event.and_then(tallied) else { continue };
        for length in [Length::Hour, Length::Minute, Length::Second] {
            let period = occurred.as_micros().div_euclid(micros(length));
            let key = TallyKey { length, scope: EVENTS.to_vec(), period, cell: event.clone() };
            add(&mut deltas, key, Sums { runs, ..Sums::default() });
        }
    }
    deltas
}

/// Returns the rows of some periods, each by itself.
fn rows(length: Length, first: i64, end: i64) -> TallyRange {
    TallyRange { length, scope: Some(EVENTS.to_vec()), first, last: end - 1, each: true }
}

/// Returns how many microseconds a period has in which events are counted.
fn micros(length: Length) -> i64 {
    match length {
        Length::Hour => MINUTES_AN_HOUR * MICROS_A_MINUTE,
        Length::Second => MICROS_A_SECOND,
        _ => MICROS_A_MINUTE,
    }
}

/// Returns the first instant of a period and the last one.
fn limits(length: Length, period: i64) -> TimeBounds {
    let micros = micros(length);
    let start = period.saturating_mul(micros);
    let instant = |micros| Some(Timestamp::nearest_to_micros(micros));
    TimeBounds { not_before: instant(start), not_after: instant(start.saturating_add(micros - 1)) }
}

impl Store {
    /// Counts the events that match `filter` by their names, if tallies tell; says whether they do.
    ///
    /// The filter's window is to be filled in before ([`EventFilter::resolve`]).
    pub async fn tallied_events_by_name(&self, filter: &EventFilter, counts: &mut CountsByValue) -> Result<bool> {
        let Some(bounds) = filter.occurred_bounds().filter(|_| filter.is_tallied()) else { return Ok(false) };
        let Cover { hours, minutes, edges } = cover(bounds);
        let [before, after] = minutes;
        let periods = [(Length::Minute, before), (Length::Hour, hours), (Length::Minute, after)];
        let ranges = periods.into_iter().filter(|(_, periods)| !periods.is_empty());
        let ranges: Vec<TallyRange> = ranges.map(|(length, range)| rows(length, range.start, range.end)).collect();
        let Some(found) = self.events_tallied(&ranges).await? else { return Ok(false) };
        let mut names = BTreeMap::<String, Named>::new();
        for (TallyKey { length, period, cell, .. }, sums) in found.sums {
            if filter.matches_name(&cell) {
                names.entry(cell).or_default().add(length, period, sums.runs);
            }
        }
        for (length, shorter) in [(Length::Hour, Length::Minute), (Length::Minute, Length::Second)] {
            if !self.narrow(&mut names, length, shorter).await? {
                return Ok(false);
            }
        }
        for (name, named) in names {
            let Named { events, first: Some(first), last: Some(last) } = named else { continue };
            let oldest = self.end_of_events(&name, first, Direction::Ascending).await?;
            let latest = self.end_of_events(&name, last, Direction::Descending).await?;
            counts.add_tallied(&name, u64::try_from(events).unwrap_or_default(), oldest, latest);
        }
        for edge in edges {
            self.heads_of_events(&within(filter, edge), |event| counts.add_name(event)).await?;
        }
        Ok(true)
    }

    /// Counts the events that match `filter` by the time, if tallies tell; says whether they do.
    ///
    /// The filter's window is to be filled in before ([`EventFilter::resolve`]).
    pub async fn tallied_events_by_time(&self, filter: &EventFilter, counts: &mut CountsByTime) -> Result<bool> {
        let Some(bounds) = filter.occurred_bounds().filter(|_| filter.is_tallied()) else { return Ok(false) };
        let Cover { hours, minutes, mut edges } = cover(bounds);
        let is_together = |counts: &CountsByTime, length, period| {
            let limits = limits(length, period);
            limits.not_before.zip(limits.not_after).is_some_and(|(first, last)| counts.counts_together(first, last))
        };
        if hours.end.saturating_sub(hours.start) > MOST_HOURS {
            return Ok(false);
        }
        // An hour that lies in more than one interval is looked up minute by minute.
        let (mut ranges, mut by_minute) = (Vec::new(), minutes.to_vec());
        for hour in hours {
            if is_together(counts, Length::Hour, hour) {
                push(&mut ranges, Length::Hour, hour);
            } else {
                by_minute.push(hour * MINUTES_AN_HOUR..(hour + 1) * MINUTES_AN_HOUR);
            }
        }
        for minute in by_minute.into_iter().flatten() {
            if is_together(counts, Length::Minute, minute) {
                push(&mut ranges, Length::Minute, minute);
            } else {
                edges.push(limits(Length::Minute, minute));
            }
            if edges.len() > MOST_EDGES {
                return Ok(false);
            }
        }
        let Some(found) = self.events_tallied(&ranges).await? else { return Ok(false) };
        for (TallyKey { length, period, cell, .. }, sums) in found.sums {
            if filter.matches_name(&cell)
                && let Some(start) = limits(length, period).not_before
            {
                counts.add_many(start, u64::try_from(sums.runs).unwrap_or_default());
            }
        }
        for edge in edges {
            self.times_of_events(&within(filter, edge), |occurred| counts.add(occurred)).await?;
        }
        Ok(true)
    }

    async fn events_tallied(&self, ranges: &[TallyRange]) -> Result<Option<Tallied>> {
        Ok(if ranges.is_empty() { Some(Tallied::default()) } else { self.backend.tallies(ranges).await?.0 })
    }

    /// Finds out in which of the shorter periods the first and last events of each name are, where the longer ones are known;
    /// says whether it can.
    ///
    /// Where the shorter ones are not counted, the longer ones stay.
    async fn narrow(&self, names: &mut BTreeMap<String, Named>, length: Length, shorter: Length) -> Result<bool> {
        let ends = names.values().flat_map(|named| named.first.into_iter().chain(named.last));
        let periods: BTreeSet<i64> = ends.filter(|(of, _)| *of == length).map(|(_, period)| period).collect();
        let within = micros(length) / micros(shorter);
        let ranges: Vec<TallyRange> =
            periods.iter().map(|period| rows(shorter, period * within, (period + 1) * within)).collect();
        let Some(found) = self.events_tallied(&ranges).await? else { return Ok(false) };
        // In ascending order.
        let mut of_name = BTreeMap::<String, Vec<i64>>::new();
        for TallyKey { period, cell, .. } in found.sums.into_keys() {
            of_name.entry(cell).or_default().push(period);
        }
        for (name, named) in names.iter_mut() {
            let shorter_ones = of_name.get(name).map_or(&[][..], Vec::as_slice);
            let inside = |period: i64| shorter_ones.iter().filter(move |one| one.div_euclid(within) == period);
            if let Some((_, period)) = named.first.filter(|(of, _)| *of == length) {
                named.first = inside(period).min().map(|one| (shorter, *one)).or(named.first);
            }
            if let Some((_, period)) = named.last.filter(|(of, _)| *of == length) {
                named.last = inside(period).max().map(|one| (shorter, *one)).or(named.last);
            }
        }
        Ok(true)
    }

    /// Returns when the first event of a name in a direction occurred in a period; the period's edge if there is none any more.
    async fn end_of_events(
        &self,
        name: &str,
        (length, period): (Length, i64),
        direction: Direction,
    ) -> Result<Timestamp> {
        let limits = limits(length, period);
        if let Some(found) = self.first_time_of_event(name, limits, direction).await? {
            return Ok(found);
        }
        let edge = if direction == Direction::Ascending { limits.not_before } else { limits.not_after };
        Ok(edge.unwrap_or(Timestamp::MIN))
    }
}

/// What is tallied of a name.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    events: i64,
    /// The first period in which there is one.
    first: Option<(Length, i64)>,
    /// The last one.
    last: Option<(Length, i64)>,
}

impl Named {
    fn add(&mut self, length: Length, period: i64, events: i64) {
        self.events = self.events.saturating_add(events);
        let start = |(length, period)| limits(length, period).not_before;
        let this = (length, period);
        self.first = self.first.filter(|first| start(*first) <= start(this)).or(Some(this));
        self.last = self.last.filter(|last| start(*last) >= start(this)).or(Some(this));
    }
}

/// Adds a period to `ranges`: to the last one, if it follows that.
fn push(ranges: &mut Vec<TallyRange>, length: Length, period: i64) {
    match ranges.last_mut().filter(|last| last.length == length && last.last + 1 == period) {
        Some(last) => last.last = period,
        None => ranges.push(rows(length, period, period + 1)),
    }
}

/// Returns the filter within a window.
fn within(filter: &EventFilter, window: TimeBounds) -> EventFilter {
    let mut narrower = filter.clone();
    (narrower.occurred.since, narrower.occurred.until) = (window.not_before, window.not_after);
    narrower
}
