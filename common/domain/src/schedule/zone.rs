//! Time zones as the real server's libraries see them: instants to local times, and local times to instants.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use jiff::{
    civil,
    tz::{AmbiguousOffset, Dst, Offset, TimeZone},
};

use crate::model::Timestamp;

/// The zones whose daylight saving time is negative: their standard time is that of summer (or not of Ramadan).
///
/// The database that jiff carries is compiled from the form that hides this, the real server's from the one that doesn't.
const NEGATIVE: [&str; 4] = ["Africa/Casablanca", "Africa/El_Aaiun", "Eire", "Europe/Dublin"];

/// A zone of the IANA database that this binary carries, so that every function answers the same instants.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

/// What a zone's clocks say of a local time; offsets are seconds east of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occurrence {
    /// It comes once.
    Once(i64),
    /// The clocks jump over it.
    Never {
        /// The offset before the jump.
        before: i64,
        /// The offset after the jump.
        after: i64,
    },
    /// The clocks go back over it.
    Twice {
        /// The offset at its first occurrence.
        first: i64,
        /// The offset at its second occurrence.
        second: i64,
    },
}

/// Tells whether the IANA database has a time zone of exactly this name.
pub fn is_time_zone(name: &str) -> bool {
    Zone::named(name).is_some()
}

impl Zone {
    /// Returns the zone of exactly this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let zone = jiff::tz::db().get(name).ok()?;
        (zone.iana_name() == Some(name) && !zone.is_unknown()).then_some(Self(zone))
    }

    /// Returns the zone of a schedule, which is UTC unless the schedule names one.
    pub(super) fn of_schedule(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("") => Some(Self(TimeZone::UTC)),
            Some(name) => Self::named(name),
        }
    }

    /// Returns what the zone's clocks show at an instant.
    pub(super) fn local(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        let offset = jiff::Timestamp::from_second(instant.timestamp()).map_or(0, |at| seconds(self.0.to_offset(at)));
        instant.naive_utc() + TimeDelta::seconds(offset)
    }

    /// Writes an instant as Python does: `2026-01-31 09:30:00-05:00`, with a fraction if there is one.
    pub(super) fn text(&self, instant: Timestamp) -> String {
        let local = self.local(instant.as_chrono());
        let offset = (local - instant.as_chrono().naive_utc()).num_seconds();
        let form = if instant.as_micros() % 1_000_000 == 0 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.6f" };
        let (sign, ahead) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
        let seconds = if ahead % 60 == 0 { String::new() } else { format!(":{:02}", ahead % 60) };
        format!("{}{sign}{:02}:{:02}{seconds}", local.format(form), ahead / 3600, ahead / 60 % 60)
    }

    /// Returns how often the zone's clocks show a local time.
    pub(super) fn occurrence(&self, local: NaiveDateTime) -> Occurrence {
        let Some(civil) = civil(local) else { return Occurrence::Once(0) };
        match self.0.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => Occurrence::Once(seconds(offset)),
            AmbiguousOffset::Gap { before, after } => {
                Occurrence::Never { before: seconds(before), after: seconds(after) }
            }
            AmbiguousOffset::Fold { before, after } => {
                Occurrence::Twice { first: seconds(before), second: seconds(after) }
            }
        }
    }

    /// Tells whether the zone keeps daylight saving time at an instant; where that is negative, it is in winter.
    pub(super) fn saves_daylight(&self, instant: DateTime<Utc>) -> bool {
        let at = jiff::Timestamp::from_second(instant.timestamp());
        let saves = at.is_ok_and(|at| self.0.to_offset_info(at).dst() == Dst::Yes);
        saves != self.0.iana_name().is_some_and(|name| NEGATIVE.contains(&name))
    }

    /// Returns the offset that an instant's clocks had before they last changed, and when they did.
    pub(super) fn change_before(&self, instant: DateTime<Utc>) -> Option<(i64, DateTime<Utc>)> {
        let at = jiff::Timestamp::from_second(instant.timestamp().checked_add(1)?).ok()?;
        let change = self.0.preceding(at).next()?.timestamp();
        let before = self.0.to_offset(jiff::Timestamp::from_second(change.as_second() - 1).ok()?);
        Some((seconds(before), DateTime::from_timestamp(change.as_second(), 0)?))
    }

    /// Tells whether this is UTC, under its own name.
    pub(super) fn is_utc(&self) -> bool {
        self.0.iana_name() == Some("UTC")
    }

    /// Returns when the clocks change next after an instant.
    pub(super) fn change_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = jiff::Timestamp::from_second(instant.timestamp()).ok()?;
        let change = self.0.following(at).next()?.timestamp();
        DateTime::from_timestamp(change.as_second(), 0)
    }

    /// Tells whether the zone's clocks change from one instant to another.
    pub(super) fn changes_between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        let Ok(from) = jiff::Timestamp::from_second(from.timestamp()) else { return false };
        self.0.following(from).next().is_some_and(|change| change.timestamp().as_second() <= to.timestamp())
    }
}

/// Returns the instant at which clocks that are `offset` seconds ahead of UTC show `local`.
pub(super) fn instant(local: NaiveDateTime, offset: i64) -> Option<DateTime<Utc>> {
    local.checked_sub_signed(TimeDelta::seconds(offset)).map(|utc| utc.and_utc())
}

/// Returns the instant as the API writes it, if it is in the range of Python's calendar.
pub(super) fn timestamp(instant: DateTime<Utc>) -> Option<Timestamp> {
    use chrono::Datelike;
    (1..=9999).contains(&instant.year()).then(|| Timestamp::new(instant))
}

fn seconds(offset: Offset) -> i64 {
    offset.seconds().into()
}

fn civil(local: NaiveDateTime) -> Option<civil::DateTime> {
    use chrono::{Datelike, Timelike};
    let (year, month, day) = (i16::try_from(local.year()).ok()?, narrow(local.month())?, narrow(local.day())?);
    let (hour, minute, second) = (narrow(local.hour())?, narrow(local.minute())?, narrow(local.second())?);
    civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

fn narrow(number: u32) -> Option<i8> {
    i8::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn knows_gaps_and_folds() {
        let new_york = Zone::named("America/New_York").unwrap();
        let gap = Occurrence::Never { before: -5 * 3600, after: -4 * 3600 };
        let fold = Occurrence::Twice { first: -4 * 3600, second: -5 * 3600 };
        assert_eq!(new_york.occurrence(local("2026-03-08T02:30:00")), gap);
        assert_eq!(new_york.occurrence(local("2026-11-01T01:30:00")), fold);
        assert_eq!(new_york.occurrence(local("2026-11-01T12:30:00")), Occurrence::Once(-5 * 3600));
    }

    #[test]
    fn writes_instants_as_python_does() {
        let text = |zone, instant: &str| Zone::named(zone).unwrap().text(instant.parse().unwrap());
        assert_eq!(text("America/New_York", "2026-11-23T00:00:00.5Z"), "2026-11-22 19:00:00.500000-05:00");
        assert_eq!(text("Asia/Kathmandu", "2026-12-31T18:15:00Z"), "2027-01-01 00:00:00+05:45");
        assert_eq!(text("UTC", "2026-12-31T18:15:00Z"), "2026-12-31 18:15:00+00:00");
    }

    #[test]
    fn takes_names_as_they_are_written_in_the_database() {
        assert!(is_time_zone("Europe/Berlin") && is_time_zone("UTC") && is_time_zone("EST5EDT"));
        assert!(!is_time_zone("europe/berlin") && !is_time_zone("Etc/Unknown") && !is_time_zone(""));
    }
}
