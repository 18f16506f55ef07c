//! A change that is made to measure how far the stream's consumer is behind.
//!
//! DynamoDB tells nobody how old the oldest change is that its stream still holds for a consumer. So whoever asks
//! writes a change, and the consumer notes when it comes to it. That costs nothing while nobody asks.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// The change that measures the stream's consumer last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamProbe {
    /// When the change was made.
    pub sent: Timestamp,
    /// When the consumer came to it; none while it waits in the stream.
    #[serde(default)]
    pub seen: Option<Timestamp>,
    /// What the change before it has measured.
    #[serde(default)]
    pub before: Option<StreamDelay>,
}

/// How long a change waited in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamDelay {
    /// When the change was made.
    pub sent: Timestamp,
    /// How many seconds later it was consumed.
    pub seconds: f64,
}

/// How many seconds lie between two probes, at least.
const BETWEEN: f64 = 10.0;

/// For how many seconds after it was made a finished measurement says something of the present.
const CURRENT: f64 = 60.0;

/// How many seconds a probe may wait before its waiting says more than what was measured last.
const USUAL: f64 = 2.0;

/// How far the consumer is behind, as far as its probe tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StreamLag {
    /// So many seconds, measured by a change that was made at this time and is consumed.
    Measured(StreamDelay),
    /// So many seconds or more: a change that was made at this time still waits.
    AtLeast(StreamDelay),
    /// Nothing is known yet: a change was made a moment ago.
    Unknown,
}

impl StreamProbe {
    /// Makes the first probe, at `now`.
    pub fn first(now: Timestamp) -> Self {
        Self { sent: now, seen: None, before: None }
    }

    /// Returns the next probe, if it is time for one at `now`: there is one at a time, and not too often.
    pub fn next(&self, now: Timestamp) -> Option<Self> {
        let is_due = self.seen.is_some() && now.seconds_since(self.sent) >= BETWEEN;
        is_due.then(|| Self { sent: now, seen: None, before: self.delay() })
    }

    /// Returns what the probe has measured, if it is consumed.
    fn delay(&self) -> Option<StreamDelay> {
        // The clocks of who sends and who consumes may differ a little.
        let seconds = |seen: Timestamp| seen.seconds_since(self.sent).max(0.0);
        self.seen.map(|seen| StreamDelay { sent: self.sent, seconds: seconds(seen) })
    }

    /// Says at `now` how far the consumer is behind.
    pub fn lag(&self, now: Timestamp) -> StreamLag {
        let waited = now.seconds_since(self.sent).max(0.0);
        let last = self.delay().or(self.before).filter(|delay| now.seconds_since(delay.sent) <= CURRENT);
        let usual = last.map_or(USUAL, |delay| delay.seconds.max(USUAL));
        match last {
            _ if self.seen.is_none() && waited > usual => {
                StreamLag::AtLeast(StreamDelay { sent: self.sent, seconds: waited })
            }
            Some(delay) => StreamLag::Measured(delay),
            None => StreamLag::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::nearest_to_micros(1_800_000_000_000_000).plus_seconds(seconds)
    }

    #[test]
    fn nothing_is_known_until_the_first_probe_is_consumed_or_waits_unusually_long() {
        let probe = StreamProbe::first(at(0.0));
        assert_eq!(probe.lag(at(1.0)), StreamLag::Unknown);
        assert_eq!(probe.lag(at(9.0)), StreamLag::AtLeast(StreamDelay { sent: at(0.0), seconds: 9.0 }));
        let seen = StreamProbe { seen: Some(at(1.5)), ..probe };
        assert_eq!(seen.lag(at(9.0)), StreamLag::Measured(StreamDelay { sent: at(0.0), seconds: 1.5 }));
    }

    #[test]
    fn what_was_measured_last_holds_while_the_next_probe_waits_no_longer_than_that() {
        let seen = StreamProbe { seen: Some(at(4.0)), ..StreamProbe::first(at(0.0)) };
        let next = seen.next(at(10.0)).unwrap();
        assert_eq!(next.lag(at(13.0)), StreamLag::Measured(StreamDelay { sent: at(0.0), seconds: 4.0 }));
        assert_eq!(next.lag(at(15.0)), StreamLag::AtLeast(StreamDelay { sent: at(10.0), seconds: 5.0 }));
    }

    #[test]
    fn an_old_measurement_says_nothing_of_the_present() {
        let seen = StreamProbe { seen: Some(at(1.0)), ..StreamProbe::first(at(0.0)) };
        assert_eq!(seen.lag(at(3_600.0)), StreamLag::Unknown);
        assert_eq!(seen.next(at(3_600.0)).unwrap().lag(at(3_600.5)), StreamLag::Unknown);
    }

    #[test]
    fn there_is_one_probe_at_a_time_and_not_too_often() {
        let probe = StreamProbe::first(at(0.0));
        assert_eq!(probe.next(at(500.0)), None, "it still waits");
        let seen = StreamProbe { seen: Some(at(1.0)), ..probe };
        assert_eq!(seen.next(at(9.9)), None);
        assert_eq!(seen.next(at(10.0)).map(|next| next.sent), Some(at(10.0)));
    }

    #[test]
    fn clocks_that_differ_measure_no_less_than_nothing() {
        let seen = StreamProbe { seen: Some(at(-1.0)), ..StreamProbe::first(at(0.0)) };
        assert_eq!(seen.lag(at(1.0)), StreamLag::Measured(StreamDelay { sent: at(0.0), seconds: 0.0 }));
    }
}
