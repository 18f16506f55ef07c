//! Instants as the Prefect API writes them.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant in UTC with microsecond precision, written as `2026-01-31T09:30:00.000001Z`.
///
/// The fraction is left out when it is zero, as pydantic leaves it out. For sort keys, which need a
/// fixed width, use [`Timestamp::sortable`].
///
/// **Invariant:** the year is one of 1 to 9999, as in Python's calendar. So what is written can be read, by every client,
/// and sorts as text; what comes to lie beyond is the first or the last instant of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The first instant of the calendar.
    pub const MIN: Self = Self(calendar_edge(-62_135_596_800_000_000));

    /// The last instant of the calendar.
    pub const MAX: Self = Self(calendar_edge(253_402_300_799_999_999));

    /// Takes the instant `time`, cut to whole microseconds, or the nearest one that the calendar holds.
    pub fn new(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(6)).clamp(Self::MIN, Self::MAX)
    }

    /// Reads the system clock.
    pub fn now() -> Self {
        Self::new(Utc::now())
    }

    /// Returns the instant `micros` microseconds after the Unix epoch, or `None` out of the calendar's range.
    pub fn from_micros(micros: i64) -> Option<Self> {
        Self::within_calendar(DateTime::from_timestamp_micros(micros)?)
    }

    fn within_calendar(time: DateTime<Utc>) -> Option<Self> {
        Some(Self(time.trunc_subsecs(6))).filter(|time| (Self::MIN..=Self::MAX).contains(time))
    }

    /// Returns the instant `micros` microseconds after the Unix epoch, or the nearest one that the calendar holds.
    pub fn nearest_to_micros(micros: i64) -> Self {
        Self::from_micros(micros).unwrap_or(if micros < 0 { Self::MIN } else { Self::MAX })
    }

    /// Returns the microseconds since the Unix epoch.
    pub fn as_micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Returns the seconds since the Unix epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.timestamp()
    }

    /// Returns the underlying `chrono` instant.
    pub fn as_chrono(self) -> DateTime<Utc> {
        self.0
    }

    /// Writes the instant with all six digits of its fraction, so that text order is time order.
    pub fn sortable(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// Returns the seconds from `earlier` to `self`, negative when `self` is the earlier one.
    #[allow(clippy::cast_precision_loss, reason = "an f64 holds microseconds exactly for 285 years")]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.as_micros() - earlier.as_micros()) as f64 / 1_000_000.0
    }

    /// Returns the instant `seconds` later (earlier when negative), or the nearest one the calendar holds.
    #[must_use]
    pub fn plus_seconds(self, seconds: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
        let micros = (seconds * 1_000_000.0).round() as i64;
        match self.0.checked_add_signed(TimeDelta::microseconds(micros)) {
            Some(time) => Self::new(time),
            None if micros < 0 => Self::MIN,
            None => Self::MAX,
        }
    }

    /// Returns the instant `duration` later, or the last one the calendar holds.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        self.plus_seconds(duration.as_secs_f64())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = if self.0.nanosecond() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
        formatter.write_str(&self.0.to_rfc3339_opts(format, true))
    }
}

/// The text is no instant of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of the years 1 to 9999 with its offset from UTC")]
pub struct NotATime;

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| NotATime)?;
        Self::within_calendar(time.with_timezone(&Utc)).ok_or(NotATime)
    }
}

const fn calendar_edge(micros: i64) -> DateTime<Utc> {
    match DateTime::from_timestamp_micros(micros) {
        Some(time) => time,
        None => DateTime::UNIX_EPOCH,
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timestamp(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn leaves_out_a_zero_fraction() {
        assert_eq!(timestamp("2026-01-31T09:30:00+00:00").to_string(), "2026-01-31T09:30:00Z");
        assert_eq!(timestamp("2026-01-31T09:30:00.5Z").to_string(), "2026-01-31T09:30:00.500000Z");
    }

    #[test]
    fn sorts_as_text() {
        let (early, late) = (timestamp("2026-01-31T09:30:00Z"), timestamp("2026-01-31T09:30:00.000001Z"));
        assert!(early.sortable() < late.sortable());
    }

    #[test]
    fn ends_where_the_calendar_ends() {
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
        for text in
            ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "0000-06-01T00:00:00Z", "+10000-01-01T00:00:00Z"]
        {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATime), "{text}");
        }
        assert_eq!(Timestamp::from_micros(i64::MAX), None);
        assert_eq!(Timestamp::new(DateTime::<Utc>::MAX_UTC), Timestamp::MAX);
        assert_eq!(Timestamp::new(DateTime::<Utc>::MIN_UTC), Timestamp::MIN);
    }

    proptest! {
        /// Whatever is added, the sum can be read again, and sorts as text.
        #[test]
        fn a_sum_is_in_the_calendar(start: i64, seconds: f64, duration in 0_u64..=u64::MAX) {
            let start = Timestamp::new(DateTime::from_timestamp_micros(start).unwrap_or(DateTime::<Utc>::MAX_UTC));
            for sum in [start.plus_seconds(seconds), start.plus(Duration::from_secs(duration)), start] {
                prop_assert_eq!(sum.to_string().parse(), Ok(sum));
                prop_assert_eq!(sum.sortable().len(), Timestamp::MAX.sortable().len());
                prop_assert_eq!(sum.cmp(&start), sum.sortable().cmp(&start.sortable()));
            }
        }
    }
}
