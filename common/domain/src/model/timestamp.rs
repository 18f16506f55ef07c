//! Instants as the Prefect API writes them.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant in UTC with microsecond precision, written as `2026-01-31T09:30:00.000001Z`.
///
/// The fraction is left out when it is zero, as pydantic leaves it out. For sort keys, which need a
/// fixed width, use [`Timestamp::sortable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Takes the instant `time`, cut to whole microseconds.
    pub fn new(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(6))
    }

    /// Reads the system clock.
    pub fn now() -> Self {
        Self::new(Utc::now())
    }

    /// Returns the instant `micros` microseconds after the Unix epoch, or `None` out of the calendar's range.
    pub fn from_micros(micros: i64) -> Option<Self> {
        DateTime::from_timestamp_micros(micros).map(Self)
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
        let time = self.0.checked_add_signed(TimeDelta::microseconds(micros));
        Self(time.unwrap_or(if micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC }))
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

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|time| Self::new(time.with_timezone(&Utc)))
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
    fn survives_arithmetic_beyond_the_calendar() {
        assert!(Timestamp::now().plus_seconds(f64::MAX) > Timestamp::now());
    }
}
