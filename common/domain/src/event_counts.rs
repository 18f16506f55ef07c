//! Events counted by what they are about, their names or the time (contract schema `EventCount`).

use std::collections::HashMap;

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use error::{Error, Result};

use crate::model::{ReceivedEvent, Timestamp, event::RESOURCE_NAME};

/// The most intervals that Prefect divides a window into.
const MOST_INTERVALS: f64 = 1_000.0;

/// The Monday from which all intervals are counted: 2024-04-01, in microseconds.
const PIVOT: i64 = 1_711_929_600_000_000;

const MICROS_A_SECOND: i64 = 1_000_000;
const MICROS_A_DAY: i64 = 86_400 * MICROS_A_SECOND;

/// What events are counted by (contract schema `Countable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Countable {
    /// The day on which they occurred.
    Day,
    /// The interval in which they occurred.
    Time,
    /// Their name.
    Event,
    /// The resource that they are about.
    Resource,
}

/// In what the length of an interval is given (contract schema `TimeUnit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Seven days from a Monday.
    Week,
    /// A day.
    Day,
    /// An hour.
    Hour,
    /// A minute.
    Minute,
    /// A second.
    Second,
}

impl TimeUnit {
    fn micros(self) -> i64 {
        match self {
            Self::Week => 7 * MICROS_A_DAY,
            Self::Day => MICROS_A_DAY,
            Self::Hour => MICROS_A_DAY / 24,
            Self::Minute => 60 * MICROS_A_SECOND,
            Self::Second => MICROS_A_SECOND,
        }
    }

    /// Returns the last microsecond of the unit that `micros` is in.
    fn end_of(self, micros: i64) -> i64 {
        let start = PIVOT + (micros - PIVOT).div_euclid(self.micros()) * self.micros();
        start + self.micros() - 1
    }
}

/// Intervals of equal length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    unit: TimeUnit,
    /// The length in microseconds.
    length: i64,
}

impl Interval {
    /// Makes intervals of `count` units.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] for a length beyond the calendar, where Prefect breaks down.
    pub fn new(unit: TimeUnit, count: f64) -> Result<Self> {
        #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
        #[allow(clippy::cast_precision_loss, reason = "a unit has fewer than 2^53 microseconds")]
        let length = (count * unit.micros() as f64).round_ties_even() as i64;
        if !(1..=Timestamp::MAX.as_micros()).contains(&length) {
            return Err(Error::Unprocessable("An interval must not be longer than the calendar.".into()));
        }
        Ok(Self { unit, length })
    }

    /// Checks that the time from `since` to `until` has not too many of the intervals.
    ///
    /// # Errors
    /// [`Error::Unprocessable`], as Prefect words it.
    pub fn check(self, since: Timestamp, until: Timestamp) -> Result<()> {
        let count = self.ratio(until.as_micros() - since.as_micros()).ceil();
        if count <= MOST_INTERVALS {
            return Ok(());
        }
        Err(Error::Unprocessable(format!(
            "The given interval would create {count} buckets, which is too many. Please increase the interval or reduce \
             the time range to produce {MOST_INTERVALS} buckets or fewer."
        )))
    }

    #[allow(clippy::cast_precision_loss, reason = "an f64 holds microseconds exactly for 285 years")]
    fn ratio(self, micros: i64) -> f64 {
        micros as f64 / self.length as f64
    }

    /// Returns the number, counted from the pivot, of the interval that an event is in.
    ///
    /// Prefect looks at nothing but whole seconds here.
    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
    fn number(self, occurred: Timestamp) -> i64 {
        self.ratio(occurred.as_seconds() * MICROS_A_SECOND - PIVOT).floor() as i64
    }
}

/// The events of one value (contract schema `EventCount`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventCount {
    value: String,
    label: String,
    count: u64,
    start_time: Timestamp,
    end_time: Timestamp,
}

/// How many events occurred in each interval of a window.
#[derive(Clone, Debug)]
pub struct CountsByTime {
    interval: Interval,
    /// The intervals by which events are numbered.
    numbering: Interval,
    first: i64,
    counts: Vec<u64>,
}

impl CountsByTime {
    /// Makes empty intervals from the one of `since` to the one of `until`, or of `now` if that is earlier.
    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
    pub fn new(interval: Interval, since: Timestamp, until: Timestamp, now: Timestamp) -> Self {
        let numbering = interval;
        let end = if until > now { interval.unit.end_of(now.as_micros()) } else { until.as_micros() };
        let first = interval.ratio(since.as_micros() - PIVOT).floor() as i64;
        let elapsed = end - PIVOT - first.saturating_mul(interval.length);
        let count = elapsed.max(0) / interval.length + i64::from(elapsed.max(0) % interval.length != 0);
        Self { interval, numbering, first, counts: vec![0; usize::try_from(count).unwrap_or_default()] }
    }

    /// Numbers events by the day, whatever the intervals are: Prefect takes the number of the day for that of an interval.
    #[must_use]
    pub fn numbered_by_day(self) -> Self {
        Self { numbering: Interval { unit: TimeUnit::Day, length: MICROS_A_DAY }, ..self }
    }

    /// Counts an event.
    ///
    /// One outside of the intervals, such as one at the very end of the window, breaks Prefect and is not counted here. In
    /// intervals that begin within a second it may lie before the first one: then Prefect counts it from the last one.
    pub fn add(&mut self, occurred: Timestamp) {
        self.add_many(occurred, 1);
    }

    /// Says whether events that occurred at these instants, and between them, are counted in the same interval.
    pub fn counts_together(&self, one: Timestamp, another: Timestamp) -> bool {
        self.numbering.number(one) == self.numbering.number(another)
    }

    /// Counts events as [`Self::add`] does, one of which occurred then, and the others in the same interval.
    pub fn add_many(&mut self, occurred: Timestamp, events: u64) {
        let index = self.numbering.number(occurred).saturating_sub(self.first);
        let length = i64::try_from(self.counts.len()).unwrap_or(i64::MAX);
        let index = if index < 0 { index + length } else { index };
        if let Some(count) = usize::try_from(index).ok().and_then(|index| self.counts.get_mut(index)) {
            *count += events;
        }
    }

    /// Returns the counts of all intervals, in order.
    pub fn into_counts(self) -> Vec<EventCount> {
        let Self { interval, first, counts, .. } = self;
        let starts = (first..).map(|number| PIVOT.saturating_add(number.saturating_mul(interval.length)));
        let counts = starts.zip(counts).enumerate().map(|(index, (start, count))| {
            let start_time = Timestamp::nearest_to_micros(start);
            EventCount {
                value: index.to_string(),
                label: iso_format(start_time),
                count,
                start_time,
                end_time: Timestamp::nearest_to_micros(start.saturating_add(interval.length - 1)),
            }
        });
        counts.collect()
    }
}

/// Writes an instant as Python's `isoformat` does.
fn iso_format(time: Timestamp) -> String {
    let is_whole = time.as_micros() % MICROS_A_SECOND == 0;
    let format = if is_whole { SecondsFormat::Secs } else { SecondsFormat::Micros };
    time.as_chrono().to_rfc3339_opts(format, false)
}

/// How many events there are of each name, or each resource.
#[derive(Clone, Debug, Default)]
pub struct CountsByValue {
    counts: HashMap<String, Counted>,
}

#[derive(Clone, Debug)]
struct Counted {
    label: String,
    count: u64,
    labelled: Timestamp,
    oldest: Timestamp,
    latest: Timestamp,
}

impl CountsByValue {
    /// Counts an event by its name.
    pub fn add_name(&mut self, event: &ReceivedEvent) {
        self.add(&event.event, &event.event, event.occurred);
    }

    /// Counts an event by its resource, which goes by the name that it had last.
    pub fn add_resource(&mut self, event: &ReceivedEvent) {
        let resource = &event.resource;
        let label = resource.label(RESOURCE_NAME).or_else(|| resource.label("prefect.name"));
        self.add(resource.id(), label.unwrap_or_else(|| resource.id()), event.occurred);
    }

    /// Counts events of a name, of which the first and the last occurred at these instants.
    pub fn add_tallied(&mut self, name: &str, events: u64, oldest: Timestamp, latest: Timestamp) {
        let none = || Counted { label: name.to_owned(), count: 0, labelled: latest, oldest, latest };
        let counted = self.counts.entry(name.to_owned()).or_insert_with(none);
        counted.count += events;
        counted.oldest = counted.oldest.min(oldest);
        counted.latest = counted.latest.max(latest);
    }

    fn add(&mut self, value: &str, label: &str, occurred: Timestamp) {
        let Some(counted) = self.counts.get_mut(value) else {
            let label = label.to_owned();
            let counted = Counted { label, count: 1, labelled: occurred, oldest: occurred, latest: occurred };
            self.counts.insert(value.to_owned(), counted);
            return;
        };
        counted.count += 1;
        counted.oldest = counted.oldest.min(occurred);
        counted.latest = counted.latest.max(occurred);
        let is_later = occurred > counted.labelled;
        if is_later || (occurred == counted.labelled && label < counted.label.as_str()) {
            label.clone_into(&mut counted.label);
            counted.labelled = occurred;
        }
    }

    /// Returns the counts, the largest first.
    pub fn into_counts(self) -> Vec<EventCount> {
        let counts = self.counts.into_iter().map(|(value, counted)| EventCount {
            value,
            label: counted.label,
            count: counted.count,
            start_time: counted.oldest,
            end_time: counted.latest,
        });
        let mut counts: Vec<EventCount> = counts.collect();
        counts.sort_by(|one, other| {
            let order = |count: &EventCount| std::cmp::Reverse(count.count);
            order(one)
                .cmp(&order(other))
                .then_with(|| one.label.cmp(&other.label))
                .then_with(|| one.value.cmp(&other.value))
        });
        counts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn event(name: &str, resource: &Value, occurred: &str) -> ReceivedEvent {
        serde_json::from_value(json!({
            "occurred": occurred,
            "event": name,
            "resource": resource,
            "id": "b9f77e07-3cf7-4653-b811-79fdb8d2f369",
            "received": occurred,
        }))
        .unwrap()
    }

    fn rows(counts: Vec<EventCount>) -> Vec<(String, String, u64)> {
        counts.into_iter().map(|count| (count.value, count.label, count.count)).collect()
    }

    #[test]
    fn fills_intervals_without_events() {
        let interval = Interval::new(TimeUnit::Hour, 1.5).unwrap();
        let (since, until) = (time("2024-04-01T02:00:00Z"), time("2024-04-01T06:00:00Z"));
        let mut counts = CountsByTime::new(interval, since, until, time("2026-01-01T00:00:00Z"));
        for occurred in
            ["2024-04-01T02:10:00Z", "2024-04-01T05:59:59.9Z", "2024-04-01T04:30:00Z", "2024-04-01T06:00:00Z"]
        {
            counts.add(time(occurred));
        }
        let row = |index: &str, label: &str, count| (index.to_owned(), format!("2024-04-01T{label}:00+00:00"), count);
        let counts = counts.into_counts();
        assert_eq!(counts[0].end_time, time("2024-04-01T02:59:59.999999Z"));
        assert_eq!(rows(counts), [row("0", "01:30", 1), row("1", "03:00", 0), row("2", "04:30", 2)]);
    }

    #[test]
    fn ends_with_the_unit_of_the_present() {
        let interval = Interval::new(TimeUnit::Week, 1.0).unwrap();
        let now = time("2024-04-10T12:00:00Z");
        let counts = CountsByTime::new(interval, time("2024-04-03T00:00:00Z"), time("2030-01-01T00:00:00Z"), now);
        let counts = counts.into_counts();
        assert_eq!((counts.len(), counts[1].end_time), (2, time("2024-04-14T23:59:59.999999Z")));
        let later = CountsByTime::new(interval, time("2029-01-01T00:00:00Z"), time("2030-01-01T00:00:00Z"), now);
        assert_eq!(later.into_counts(), []);
    }

    #[test]
    fn refuses_too_many_intervals() {
        let interval = Interval::new(TimeUnit::Second, 1.0).unwrap();
        let check = |until| interval.check(time("2026-01-01T00:00:00Z"), time(until));
        assert!(check("2026-01-01T00:16:40Z").is_ok() && check("2025-01-01T00:00:00Z").is_ok());
        let Err(Error::Unprocessable(why)) = check("2026-01-01T00:16:40.000001Z") else { panic!("it is refused") };
        assert!(why.starts_with("The given interval would create 1001 buckets, which is too many."), "{why}");
        assert!(Interval::new(TimeUnit::Week, 1e300).is_err());
    }

    #[test]
    fn counts_by_name_and_by_the_resource_s_last_name() {
        let (mut names, mut resources) = (CountsByValue::default(), CountsByValue::default());
        let resource = |id: &str, name: &str| json!({"prefect.resource.id": id, "prefect.resource.name": name});
        for event in [
            event("b", &resource("1", "new"), "2026-01-01T00:00:03Z"),
            event("a", &resource("1", "old"), "2026-01-01T00:00:01Z"),
            event("b", &json!({"prefect.resource.id": "2", "prefect.name": "two"}), "2026-01-01T00:00:02Z"),
            event("c", &json!({"prefect.resource.id": "3"}), "2026-01-01T00:00:02Z"),
        ] {
            names.add_name(&event);
            resources.add_resource(&event);
        }
        let row = |value: &str, label: &str, count| (value.to_owned(), label.to_owned(), count);
        assert_eq!(rows(names.into_counts()), [row("b", "b", 2), row("a", "a", 1), row("c", "c", 1)]);
        let counts = resources.into_counts();
        assert_eq!(
            (counts[0].start_time, counts[0].end_time),
            (time("2026-01-01T00:00:01Z"), time("2026-01-01T00:00:03Z"))
        );
        assert_eq!(rows(counts), [row("1", "new", 2), row("3", "3", 1), row("2", "two", 1)]);
    }
}
