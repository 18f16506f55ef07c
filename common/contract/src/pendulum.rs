//! The dates that Prefect's `DateTime` accepts beyond pydantic's: what the `pendulum` library parses.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use regex::Regex;

use super::scalar::in_calendar;

/// Why a text is no date.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// Prefect raises a `ValueError` with this message.
    ValueError(String),
    /// Prefect's parser breaks in another way, for which there is one message.
    Other,
}

/// Parses `text` as `pendulum.parse` does; a time alone is that time on the day of `now`.
///
/// # Errors
/// [`Refusal`] in Prefect's words.
pub(super) fn parse(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    let not_a_date = |class: &str| {
        Err(Refusal::ValueError(format!("value is not a valid datetime it is a <class 'pendulum.{class}'>")))
    };
    if text == "now" {
        return Ok(now);
    }
    if is_duration(text) {
        return not_a_date("duration.Duration");
    }
    if let Some(time) = iso8601(text, now) {
        return Ok(time);
    }
    if let Some((first, last)) = text.split_once('/') {
        match (is_duration(first), is_duration(last)) {
            (false, false) if iso8601(first, now).is_some() && iso8601(last, now).is_some() => {
                return not_a_date("interval.Interval");
            }
            (true, false) if iso8601(last, now).is_some() => return Err(Refusal::Other),
            (false, true) if iso8601(first, now).is_some() => return Err(Refusal::Other),
            _ => {}
        }
    }
    common(text, now)
}

/// Reads ISO 8601: calendar, ordinal and week dates, extended or basic, with or without a time and an offset.
fn iso8601(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Some(time) = six_digits(text) {
        return Some(now.date_naive().and_time(time).and_utc());
    }
    match text.split_once(['T', ' ']) {
        Some(("", time)) => iso_time(time).map(|(time, _)| now.date_naive().and_time(time).and_utc()),
        Some((date, time)) => {
            let (time, offset) = iso_time(time)?;
            let naive = iso_date(date)?.and_time(time);
            naive.and_utc().checked_sub_signed(TimeDelta::minutes(offset)).filter(in_calendar)
        }
        None => match iso_date(text) {
            Some(date) => Some(date.and_time(NaiveTime::MIN).and_utc()),
            // The offset of a time alone is dropped, as Prefect drops it.
            None => iso_time(text).map(|(time, _)| now.date_naive().and_time(time).and_utc()),
        },
    }
}

/// Six digits could be a year and a month, but are read as hours, minutes and seconds.
fn six_digits(text: &str) -> Option<NaiveTime> {
    if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    NaiveTime::from_hms_opt(number(text.get(..2)?)?, number(text.get(2..4)?)?, number(text.get(4..)?)?)
}

fn iso_date(text: &str) -> Option<NaiveDate> {
    let (year, rest) = (digits(text.get(..4)?)?, text.get(4..)?);
    let year = i32::try_from(year).ok().filter(|year| *year > 0)?;
    if rest.is_empty() {
        return NaiveDate::from_ymd_opt(year, 1, 1);
    }
    let (rest, extended) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
    if let Some(week) = rest.strip_prefix('W') {
        let (week, day) = (digits(week.get(..2)?)?, week.get(2..)?);
        let day = match (day, extended) {
            ("", _) => 1,
            (day, true) => digits(day.strip_prefix('-')?)?,
            (day, false) => digits(day)?,
        };
        let day = day.checked_sub(1).and_then(|day| Weekday::try_from(u8::try_from(day).ok()?).ok())?;
        return NaiveDate::from_isoywd_opt(year, week, day);
    }
    match (rest.len(), extended) {
        (3, _) => NaiveDate::from_yo_opt(year, digits(rest)?),
        (2, true) => NaiveDate::from_ymd_opt(year, digits(rest)?, 1),
        (4, false) => NaiveDate::from_ymd_opt(year, digits(rest.get(..2)?)?, digits(rest.get(2..)?)?),
        (5, true) => NaiveDate::from_ymd_opt(year, digits(rest.get(..2)?)?, digits(rest.get(2..)?.strip_prefix('-')?)?),
        _ => None,
    }
}

/// Reads a time and the minutes of its offset.
fn iso_time(text: &str) -> Option<(NaiveTime, i64)> {
    let (clock, offset) = match text.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => match text.rfind(['+', '-']) {
            Some(sign) => (text.get(..sign)?, offset_minutes(text.get(sign..)?)?),
            None => (text, 0),
        },
    };
    let (clock, fraction) = match clock.split_once(['.', ',']) {
        Some((clock, fraction)) => (clock, Some(microseconds(fraction)?)),
        None => (clock, None),
    };
    let (hour, minute, second) = if clock.contains(':') {
        let mut parts = clock.split(':');
        // Only seconds have a fraction.
        if fraction.is_some() && parts.clone().count() < 3 {
            return None;
        }
        let read = (number(parts.next()?)?, number(parts.next()?)?, parts.next().map_or(Some(0), number)?);
        if parts.next().is_some() {
            return None;
        }
        read
    } else {
        match clock.len() {
            1 | 2 => (number(clock)?, 0, 0),
            3 | 4 => (number(clock.get(..2)?)?, number(clock.get(2..)?)?, 0),
            5 | 6 => (number(clock.get(..2)?)?, number(clock.get(2..4)?)?, number(clock.get(4..)?)?),
            _ => return None,
        }
    };
    Some((NaiveTime::from_hms_micro_opt(hour, minute, second, fraction.unwrap_or_default())?, offset))
}

fn offset_minutes(text: &str) -> Option<i64> {
    let (sign, clock) = match text.strip_prefix('-') {
        Some(clock) => (-1, clock),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = match clock.len() {
        2 => (digits(clock)?, 0),
        4 => (digits(clock.get(..2)?)?, digits(clock.get(2..)?)?),
        5 => (digits(clock.get(..2)?)?, digits(clock.get(2..)?.strip_prefix(':')?)?),
        _ => return None,
    };
    (hours < 24).then_some(sign * i64::from(hours * 60 + minutes))
}

/// Reads dates with slashes or colons, and times with single digits, which pendulum calls common.
fn common(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    static COMMON: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let date = "(?<year>[0-9]{4})(?<monthday>[/:]?(?<month>[0-9]{2})([/:]?(?<day>[0-9]{2}))?)?";
        let time = "(?<hour>[0-9]{1,2}):(?<minute>[0-9]{1,2})?(:(?<second>[0-9]{1,2}))?([.|,](?<fraction>[0-9]{1,9}))?";
        Regex::new(&format!("^({date})?(?<time> ?{time})?$")).ok()
    });
    let unable = || Refusal::ValueError(format!("Unable to parse string [{text}]"));
    let refuse = |error: &str| Err(Refusal::ValueError(error.to_owned()));
    let found =
        COMMON.as_ref().and_then(|common| common.captures(text)).filter(|_| !text.is_empty()).ok_or_else(unable)?;
    let part = |name: &str| found.name(name).map(|part| part.as_str());
    let required = |name: &str| part(name).and_then(digits).ok_or(Refusal::Other);
    let day = match (part("year").and_then(digits), part("monthday")) {
        (None, _) => now.date_naive(),
        (Some(0), _) => return refuse("year 0 is out of range"),
        (Some(year), monthday) => {
            let (month, day) = if monthday.is_some() { (required("month")?, required("day")?) } else { (1, 1) };
            if !(1..=12).contains(&month) {
                return refuse("month must be in 1..12");
            }
            let date = i32::try_from(year).ok().and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
            match date {
                Some(date) => date,
                None => return refuse("day is out of range for month"),
            }
        }
    };
    if part("time").is_none() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    let (hour, minute, second) = (required("hour")?, required("minute")?, part("second").and_then(digits).unwrap_or(0));
    let fraction = part("fraction").and_then(microseconds).unwrap_or(0);
    match NaiveTime::from_hms_micro_opt(hour, minute, second, fraction) {
        Some(time) => Ok(day.and_time(time).and_utc()),
        None if hour > 23 => refuse("hour must be in 0..23"),
        None if minute > 59 => refuse("minute must be in 0..59"),
        None => refuse("second must be in 0..59"),
    }
}

/// Tells whether `text` is an ISO 8601 duration such as `P1DT2H`.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (date, time) = rest.split_once('T').map_or((rest, None), |(date, time)| (date, Some(time)));
    let units = |text: &str, allowed: &str| {
        let mut allowed = allowed.chars();
        text.split_inclusive(|c: char| c.is_ascii_uppercase()).all(|part| {
            let count = part.trim_end_matches(|c: char| c.is_ascii_uppercase());
            let counted = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b',');
            counted && part.chars().last().is_some_and(|unit| allowed.any(|next| next == unit))
        })
    };
    !rest.is_empty() && units(date, "YMWD") && time.is_none_or(|time| units(time, "HMS"))
}

fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Reads one or two digits.
fn number(text: &str) -> Option<u32> {
    digits(text).filter(|_| text.len() <= 2)
}

fn microseconds(fraction: &str) -> Option<u32> {
    digits(fraction).filter(|_| fraction.len() <= 9)?;
    let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
    six.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let now = "2026-03-04T05:06:07Z".parse().unwrap();
        match parse(text, now) {
            Ok(time) => time.to_rfc3339(),
            Err(Refusal::ValueError(error)) => error,
            Err(Refusal::Other) => "other".to_owned(),
        }
    }

    #[test]
    fn reads_iso_dates_beyond_rfc3339() {
        assert_eq!(read("2024-W01"), "2024-01-01T00:00:00+00:00");
        assert_eq!(read("2024-060"), "2024-02-29T00:00:00+00:00");
        assert_eq!(read("2024-05"), "2024-05-01T00:00:00+00:00");
        assert_eq!(read("20240501T1030+0200"), "2024-05-01T08:30:00+00:00");
        assert_eq!(read("2024/05/01"), "2024-05-01T00:00:00+00:00");
    }

    #[test]
    fn reads_a_time_as_today() {
        assert_eq!(read("12:30"), "2026-03-04T12:30:00+00:00");
        assert_eq!(read("now"), "2026-03-04T05:06:07+00:00");
    }

    #[test]
    fn refuses_durations_and_nonsense() {
        assert_eq!(read("P1D"), "value is not a valid datetime it is a <class 'pendulum.duration.Duration'>");
        assert_eq!(read("yesterday"), "Unable to parse string [yesterday]");
        assert_eq!(read("é"), "Unable to parse string [é]");
        assert_eq!(read("25:00"), "hour must be in 0..23");
        assert_eq!(read("5:"), "other");
    }
}
