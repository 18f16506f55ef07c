//! Lengths of time as the Prefect API writes them.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Timestamp;

/// A length of time in whole microseconds, written as a number of seconds such as `0.040954`.
///
/// Sums stay exact, which sums of floating-point seconds would not: the real server adds up its run times
/// as microseconds too (a Python `timedelta`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(i64);

impl Seconds {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Returns the time from `earlier` to `later`, negative when `later` is the earlier one.
    pub fn between(earlier: Timestamp, later: Timestamp) -> Self {
        Self(later.as_micros().saturating_sub(earlier.as_micros()))
    }

    /// Takes a length in microseconds.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the length in microseconds.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns the length in seconds.
    #[allow(clippy::cast_precision_loss, reason = "an f64 holds microseconds exactly for 285 years")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1_000_000.0
    }
}

impl Add for Seconds {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Seconds {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if !seconds.is_finite() {
            return Err(de::Error::custom("a length of time is a finite number of seconds"));
        }
        #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
        let micros = (seconds * 1_000_000.0).round() as i64;
        Ok(Self(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_without_rounding_errors() {
        let tenth = Seconds::from_micros(100_000);
        assert_eq!(serde_json::to_string(&(tenth + tenth + tenth)).unwrap(), "0.3");
    }

    #[test]
    fn is_written_as_a_float_even_when_whole() {
        assert_eq!(serde_json::to_string(&Seconds::ZERO).unwrap(), "0.0");
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let length = Seconds::from_micros(40_954);
        let text = serde_json::to_string(&length).unwrap();
        assert_eq!(serde_json::from_str::<Seconds>(&text).unwrap(), length);
    }
}
