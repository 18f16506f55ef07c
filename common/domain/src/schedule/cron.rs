//! Cron expressions, as the croniter that Prefect carries reads and evaluates them.
//!
//! The crates for cron (croner, cron, saffron) each speak a dialect of their own. Clients write croniter's: five fields,
//! a sixth *after* them for seconds and a seventh for years; ranges that wrap around; `L` for the last day of a month,
//! `L5` and `5#2` for days of the week; aliases such as `@daily`; and a few answers that are only to be had by doing as
//! it does, such as day lists in short months. So it is written here, against recorded instants.
//!
//! Its search goes field by field from year to second, each time to the next value that the field allows, and begins
//! anew after each change. It gives up after fifty years without a match, which bounds its cost.

use std::collections::{BTreeMap, BTreeSet};

use budget::Bound;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use regex::Regex;

use super::{
    CANDIDATES, Span,
    zone::{self, Occurrence, Zone},
};
use crate::model::Timestamp;

/// How many years without a match make an expression one that never matches.
const YEARS: i32 = 50;

const MINUTE: usize = 0;
const HOUR: usize = 1;
const DAY: usize = 2;
const MONTH: usize = 3;
const WEEKDAY: usize = 4;
const SECOND: usize = 5;
const YEAR: usize = 6;

/// The least and the greatest value of each field.
const RANGES: [(i64, i64); 7] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6), (0, 59), (1970, 2099)];
/// How many values of each field are all of them.
const ALL: [usize; 7] = [60, 24, 31, 12, 7, 60, 130];

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const ALIASES: [(&str, &str); 7] = [
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// Why an expression is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It isn't a cron expression.
    Invalid,
    /// It has a random or hashed field, which Prefect refuses.
    Random,
}

/// A value that a field allows; the order is the one in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Allowed {
    Any,
    Exactly(i64),
    LastDay,
}

/// Which of a weekday's occurrences in a month is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nth {
    At(usize),
    Last,
}

/// A cron expression that was understood.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    fields: Vec<Vec<Allowed>>,
    nth_weekdays: BTreeMap<i64, BTreeSet<Nth>>,
}

/// Returns the instants of a cron schedule, in order, as Prefect's `CronSchedule.get_dates` does.
///
/// The expression is matched with what the zone's clocks show. A time that comes twice is taken at its first occurrence,
/// one that the clocks jump over as much later. What is within the span is decided by instants, so that none is before its
/// start, and each comes once.
pub(super) fn instants(expression: &Expression, day_or: bool, zone: &Zone, span: Span) -> Vec<Timestamp> {
    let mut candidates = Candidates::new(expression, day_or, zone, span.start);
    let mut found = BTreeSet::new();
    for _ in 0..CANDIDATES {
        let Some(instant) = candidates.next().and_then(zone::timestamp) else { break };
        if span.end.is_some_and(|end| instant > end) {
            break;
        }
        if instant >= span.start {
            found.insert(instant);
        }
        if !found.is_empty() && found.len() >= span.count {
            break;
        }
    }
    found.into_iter().collect()
}

/// The instants at which the clocks of a zone show what an expression matches.
struct Candidates<'a> {
    expression: &'a Expression,
    day_or: bool,
    zone: &'a Zone,
    /// What the clocks show at the last match.
    now: Option<NaiveDateTime>,
    /// The next match.
    next: Option<DateTime<Utc>>,
    /// What the clocks show at the last match of those that they have just jumped over, and when these end.
    skipped: Option<(NaiveDateTime, NaiveDateTime)>,
    /// The next of these.
    next_skipped: Option<DateTime<Utc>>,
}

impl<'a> Candidates<'a> {
    /// Returns the candidates from `start` on, with those that the clocks have jumped over to behind `start`.
    fn new(expression: &'a Expression, day_or: bool, zone: &'a Zone, start: Timestamp) -> Self {
        let instant = start.as_chrono();
        let local = zone.local(instant);
        // The search begins after this: the start itself may match, unless it is past a full second.
        let mut now = if local.nanosecond() == 0 { local - TimeDelta::seconds(1) } else { local };
        let mut skipped = None;
        if let Some((before, change)) = zone.change_before(instant) {
            let changed_to = zone.local(change);
            let gap = (changed_to - change.naive_utc()) - TimeDelta::seconds(before);
            let since = instant - change;
            if since < -gap {
                // The times until then are those that came before, at their first occurrence.
                now = changed_to - gap - TimeDelta::seconds(1);
            } else if since < gap {
                skipped = Some((now - gap, changed_to));
            }
        }
        let mut new = Self { expression, day_or, zone, now: Some(now), next: None, skipped, next_skipped: None };
        new.advance();
        new.advance_skipped();
        new
    }

    fn advance(&mut self) {
        self.now = self.now.and_then(|now| self.expression.next(now, self.day_or));
        self.next = self.now.and_then(|now| self.instant(now));
    }

    fn advance_skipped(&mut self) {
        self.skipped = self.skipped.and_then(|(now, end)| {
            let next = self.expression.next(now, self.day_or)?;
            (next < end).then_some((next, end))
        });
        self.next_skipped = self.skipped.and_then(|(now, _)| self.instant(now));
    }

    fn instant(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let offset = match self.zone.occurrence(local) {
            Occurrence::Once(offset) | Occurrence::Twice { first: offset, .. } => offset,
            Occurrence::Never { before, .. } => before,
        };
        zone::instant(local, offset)
    }
}

impl Iterator for Candidates<'_> {
    type Item = DateTime<Utc>;

    fn next(&mut self) -> Option<Self::Item> {
        match (self.next_skipped, self.next) {
            (Some(skipped), next) if next.is_none_or(|next| skipped <= next) => {
                self.advance_skipped();
                Some(skipped)
            }
            (_, next) => {
                self.advance();
                next
            }
        }
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// If croniter or Prefect refuses it. `R(1-5)` and `R/5` are refused too, which Prefect forgets: their instants
    /// would be others at each look.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        Bound::CronLength.check(text.len()).map_err(|_| Refusal::Invalid)?;
        let lower = text.to_lowercase();
        let expanded = ALIASES.iter().find(|(alias, _)| *alias == lower).map_or(lower.as_str(), |(_, meaning)| meaning);
        let columns: Vec<&str> = expanded.split(is_space).filter(|column| !column.is_empty()).collect();
        if !(5..=7).contains(&columns.len()) {
            return Err(Refusal::Invalid);
        }
        let mut random = false;
        let mut fields = Vec::with_capacity(columns.len());
        let mut nth_weekdays = BTreeMap::new();
        for (index, column) in columns.iter().enumerate() {
            let column = if is_random(column)? {
                random = true;
                "*"
            } else {
                column
            };
            let mut reader = FieldReader { index, columns: &columns, nth_weekdays: &mut nth_weekdays };
            fields.push(reader.read(column).ok_or(Refusal::Invalid)?);
        }
        if random {
            return Err(Refusal::Random);
        }
        let weekdays = fields.get(WEEKDAY).map_or(&[][..], Vec::as_slice);
        let plain = weekdays.iter().any(|day| matches!(day, Allowed::Exactly(day) if !nth_weekdays.contains_key(day)));
        if !nth_weekdays.is_empty() && plain && weekdays.len() != 7 {
            return Err(Refusal::Invalid);
        }
        Ok(Self { fields, nth_weekdays })
    }

    /// Returns the first match after `now`, both by the clock, or `None` if it isn't found within fifty years.
    fn next(&self, now: NaiveDateTime, day_or: bool) -> Option<NaiveDateTime> {
        let wild =
            |index| matches!(self.fields.get(index).and_then(|field: &Vec<Allowed>| field.first()), Some(Allowed::Any));
        if !day_or || wild(DAY) || wild(WEEKDAY) {
            return self.search(now, true, true);
        }
        let by_day = self.search(now, true, false)?;
        let by_weekday = self.search(now, false, true)?;
        Some(by_day.min(by_weekday))
    }

    fn search(&self, now: NaiveDateTime, days: bool, weekdays: bool) -> Option<NaiveDateTime> {
        let has_seconds = self.fields.len() > SECOND;
        let step = if has_seconds { TimeDelta::seconds(1) } else { TimeDelta::minutes(1) };
        let mut at = now.with_nanosecond(0)?.checked_add_signed(step)?;
        let first_year = at.year();
        while at.year() - first_year <= YEARS {
            let before = at;
            at = match self.advance(at, days, weekdays)? {
                None if has_seconds => return Some(before),
                None => return before.with_second(0),
                Some(later) => later,
            };
        }
        None
    }

    /// Goes to the next value of the first field that doesn't match; `Some(None)` if all match, `None` if none ever will.
    fn advance(&self, at: NaiveDateTime, days: bool, weekdays: bool) -> Option<Option<NaiveDateTime>> {
        let date = at.date();
        if let Some(years) = self.limited(YEAR) {
            let year = years.iter().find_map(|year| match year {
                Allowed::Exactly(year) if *year >= date.year().into() => i32::try_from(*year).ok(),
                _ => None,
            })?;
            if year != date.year() {
                return Some(Some(NaiveDate::from_ymd_opt(year, 1, 1)?.and_time(NaiveTime::MIN)));
            }
        }
        if let Some(months) = self.limited(MONTH)
            && let ahead @ 1.. = distance(date.month(), months, 12)
        {
            let month = date.with_day(1)?.checked_add_months(Months::new(ahead))?;
            return Some(Some(month.and_time(NaiveTime::MIN)));
        }
        let length = u32::from(date.num_days_in_month());
        if days
            && let Some(allowed) = self.limited(DAY)
            && !(allowed.contains(&Allowed::LastDay) && date.day() == length)
            && let ahead @ 1.. = distance(date.day(), allowed, length)
        {
            return Some(Some(midnight_in(date, ahead)?));
        }
        if !self.nth_weekdays.is_empty() {
            let ahead = self.days_to_nth_weekday(date).unwrap_or(length - date.day() + 1);
            if ahead > 0 {
                return Some(Some(midnight_in(date, ahead)?));
            }
        } else if weekdays
            && let Some(allowed) = self.limited(WEEKDAY)
            && let ahead @ 1.. = distance(date.weekday().num_days_from_sunday(), allowed, 7)
        {
            return Some(Some(midnight_in(date, ahead)?));
        }
        if let Some(hours) = self.limited(HOUR)
            && let ahead @ 1.. = distance(at.hour(), hours, 24)
        {
            return Some(at.checked_add_signed(TimeDelta::hours(ahead.into()))?.with_minute(0)?.with_second(0));
        }
        if let Some(minutes) = self.limited(MINUTE)
            && let ahead @ 1.. = distance(at.minute(), minutes, 60)
        {
            return Some(at.checked_add_signed(TimeDelta::minutes(ahead.into()))?.with_second(0));
        }
        if let Some(seconds) = self.limited(SECOND)
            && let ahead @ 1.. = distance(at.second(), seconds, 60)
        {
            return Some(at.checked_add_signed(TimeDelta::seconds(ahead.into())));
        }
        Some(None)
    }

    /// Returns what a field allows, unless it is absent or allows everything.
    fn limited(&self, index: usize) -> Option<&[Allowed]> {
        self.fields.get(index).filter(|allowed| !allowed.contains(&Allowed::Any)).map(Vec::as_slice)
    }

    /// Counts the days to the next of the numbered weekdays, if one is left in the month.
    fn days_to_nth_weekday(&self, date: NaiveDate) -> Option<u32> {
        let length = u32::from(date.num_days_in_month());
        let first = date.with_day(1)?.weekday().num_days_from_sunday();
        let candidates = self.nth_weekdays.iter().flat_map(|(weekday, nths)| {
            let weekday = u32::try_from(*weekday).unwrap_or_default();
            let first = (weekday + 7 - first) % 7 + 1;
            nths.iter().map(move |nth| match nth {
                Nth::At(nth) => first + 7 * (u32::try_from(*nth).unwrap_or(u32::MAX / 14) - 1),
                Nth::Last => first + (length - first) / 7 * 7,
            })
        });
        candidates.filter(|day| (date.day()..=length).contains(day)).min().map(|day| day - date.day())
    }
}

fn midnight_in(date: NaiveDate, days: u32) -> Option<NaiveDateTime> {
    Some(date.checked_add_days(Days::new(days.into()))?.and_time(NaiveTime::MIN))
}

/// Returns how far it is from `value` to the next one that is allowed, where values begin anew after `range` of them.
///
/// Past the last one it counts as croniter does, which for days means the length of the month that is left.
fn distance(value: u32, allowed: &[Allowed], range: u32) -> u32 {
    let (value, range) = (i64::from(value), i64::from(range));
    let meant = |allowed: &Allowed| match allowed {
        Allowed::Exactly(number) => *number,
        Allowed::LastDay => range,
        Allowed::Any => value,
    };
    let ahead = allowed.iter().map(meant).find(|next| *next >= value);
    let next = ahead.or_else(|| allowed.first().map(|first| meant(first) + range)).unwrap_or(value);
    u32::try_from(next - value).unwrap_or_default()
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Tells whether a column is random (`R`, `R(1-5)`, `R/5`).
///
/// # Errors
/// If it is hashed (`H`), which needs an id that schedules don't have, or has an impossible range or step.
fn is_random(column: &str) -> Result<bool, Refusal> {
    let Some(found) = pattern!(r"^([hr])(?:\((\d+)-(\d+)\))?(?:/(\d+))?$").captures(column) else { return Ok(false) };
    let number = |at| found.get(at).map(|digits: regex::Match<'_>| digits.as_str().parse().unwrap_or(u64::MAX));
    let backwards = number(2).zip(number(3)).is_some_and(|(begin, end)| begin >= end);
    if column.starts_with('h') || backwards || number(4) == Some(0) { Err(Refusal::Invalid) } else { Ok(true) }
}

/// Reads one field of an expression.
struct FieldReader<'a> {
    index: usize,
    columns: &'a [&'a str],
    nth_weekdays: &'a mut BTreeMap<i64, BTreeSet<Nth>>,
}

impl FieldReader<'_> {
    fn read(&mut self, column: &str) -> Option<Vec<Allowed>> {
        let column = match column {
            "?" if matches!(self.index, DAY | WEEKDAY) => "*",
            column if column.contains('?') => return None,
            column => column,
        };
        let mut items: Vec<String> = column.split(',').map(str::to_owned).collect();
        let mut allowed = BTreeSet::new();
        while let Some(item) = items.pop() {
            let (item, nth) = if self.index == WEEKDAY { nth_weekday(&item)? } else { (item, None) };
            if let Some(values) = self.range(&item) {
                let suffix = match nth {
                    Some(Nth::At(nth)) => format!("#{nth}"),
                    _ => String::new(),
                };
                for value in values? {
                    let value = format!("{value}{suffix}");
                    if !items.contains(&value) {
                        items.push(value);
                    }
                }
                continue;
            }
            let value = match item.as_str() {
                "*" => Allowed::Any,
                "l" if self.index == DAY => Allowed::LastDay,
                item => Allowed::Exactly(self.in_range(self.aliased(self.number(item)?))?),
            };
            allowed.insert(value);
            if let (Some(nth), Allowed::Exactly(weekday)) = (nth, value) {
                self.nth_weekdays.entry(weekday).or_default().insert(nth);
            }
        }
        let all = ALL.get(self.index).is_some_and(|all| allowed.len() == *all) && !self.joined_with_other_days();
        Some(if all { vec![Allowed::Any] } else { allowed.into_iter().collect() })
    }

    /// Tells whether a field that lists all its days still counts as one that restricts days.
    fn joined_with_other_days(&self) -> bool {
        let other = match self.index {
            DAY => WEEKDAY,
            WEEKDAY => DAY,
            _ => return false,
        };
        self.columns.get(other).is_some_and(|column| !column.contains('*'))
    }

    /// Returns the values of `low-high/step` and its short forms, `Some(None)` if it is wrong, `None` if it isn't a range.
    fn range(&self, item: &str) -> Option<Option<Vec<i64>>> {
        let (least, greatest) = *RANGES.get(self.index)?;
        let range = pattern!(r"^([^-]+)-([^-/]+)(?:/(\d+))?$");
        let filled = pattern!(r"^\*(/.+)$").replace(item, format!("{least}-{greatest}$1"));
        let found = range.captures(&filled).map(|found| own(&found)).or_else(|| {
            let filled = pattern!(r"^(.+)/(.+)$").replace(item, format!("$1-{greatest}/$2"));
            range.captures(&filled).map(|found| own(&found))
        });
        let (low, high, step) = found?;
        Some(self.values(&low, &high, step.as_deref()))
    }

    fn values(&self, low: &str, high: &str, step: Option<&str>) -> Option<Vec<i64>> {
        let (least, greatest) = *RANGES.get(self.index)?;
        let high = if self.index == DAY && high == "l" { "31" } else { high };
        let (low, high) = (self.aliased(self.number(low)?), self.aliased(self.number(high)?));
        let step = step.map_or(Some(1), integer)?;
        if low.max(high) > greatest || step < 1 {
            return None;
        }
        let stride = usize::try_from(step).unwrap_or(usize::MAX);
        if low == high {
            return Some((least..=greatest).step_by(stride).collect());
        }
        if low < high {
            return Some((low..=high).step_by(stride).collect());
        }
        let mut values: Vec<i64> = (low..=greatest).step_by(stride).collect();
        let rest = greatest - values.last()?;
        let skipped = if rest < step { step - rest } else { 0 };
        // What croniter skips at the turn is one more than the stride asks for, but for the last value itself.
        let skipped = if greatest - rest - least + step > greatest - least + 1 { skipped } else { 0 };
        values.extend((least.saturating_add(skipped)..=high).step_by(stride));
        Some(values)
    }

    fn number(&self, text: &str) -> Option<i64> {
        let named = |names: &[&str], first: i64| {
            names.iter().position(|name| *name == text).and_then(|at| i64::try_from(at).ok()).map(|at| at + first)
        };
        integer(text).or_else(|| match self.index {
            MONTH => named(&MONTHS, 1),
            WEEKDAY => named(&WEEKDAYS, 0),
            _ => None,
        })
    }

    /// Takes 0 as the first day or month and 7 as Sunday, where croniter does, which depends on the number of fields.
    fn aliased(&self, value: i64) -> i64 {
        match (self.index, value, self.columns.len()) {
            (DAY, 0, 6) => 1,
            (WEEKDAY, 7, 5) => 0,
            _ => value,
        }
    }

    fn in_range(&self, value: i64) -> Option<i64> {
        RANGES.get(self.index).filter(|(least, greatest)| (*least..=*greatest).contains(&value)).map(|_| value)
    }
}

fn own(found: &regex::Captures<'_>) -> (String, String, Option<String>) {
    let text = |at| found.get(at).map(|part: regex::Match<'_>| part.as_str().to_owned());
    (text(1).unwrap_or_default(), text(2).unwrap_or_default(), text(3))
}

/// Reads digits; a number too large for any field is as good as a million million.
fn integer(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(i64::MAX).min(1_000_000_000_000))
}

/// Splits `5#2` and `L5` into the day and which of its occurrences is meant; `None` if there is no such occurrence.
fn nth_weekday(item: &str) -> Option<(String, Option<Nth>)> {
    let names = pattern!(concat!(
        r"^(?:((?:sun|mon|tue|wed|thu|fri|sat)(?:-(?:sun|mon|tue|wed|thu|fri|sat))?|\w+",
        r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)",
        r"-(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))#|l)(\d+)$"
    ));
    let Some(found) = names.captures(item) else { return Some((item.to_owned(), None)) };
    let number = found.get(2).map_or("", |digits| digits.as_str());
    match found.get(1) {
        None => Some((number.to_owned(), Some(Nth::Last))),
        Some(day) => {
            let nth = integer(number).filter(|nth| (1..=5).contains(nth)).and_then(|nth| usize::try_from(nth).ok())?;
            Some((day.as_str().to_owned(), Some(Nth::At(nth))))
        }
    }
}

/// A regular expression that is compiled once; a wrong one can only be a mistake of ours, and matches nothing.
macro_rules! pattern {
    ($text:expr) => {{
        static PATTERN: std::sync::LazyLock<Regex> = std::sync::LazyLock::new(|| {
            #[allow(clippy::expect_used, reason = "the pattern is a constant that every test goes through")]
            Regex::new($text).expect("a regular expression")
        });
        &*PATTERN
    }};
}
use pattern;

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, now: &str) -> Option<String> {
        Expression::parse(expression).unwrap().next(now.parse().unwrap(), true).map(|next| next.to_string())
    }

    #[test]
    fn finds_the_next_match() {
        let now = "2026-01-31T09:30:00";
        assert_eq!(next("*/15 * * * *", now).unwrap(), "2026-01-31 09:45:00");
        assert_eq!(next("0 0 L * *", now).unwrap(), "2026-02-28 00:00:00");
        assert_eq!(next("0 9 * * MON#2", now).unwrap(), "2026-02-09 09:00:00");
        assert_eq!(next("0 9 * * L5", now).unwrap(), "2026-02-27 09:00:00");
        assert_eq!(next("0 0 1 1 * 0 2030", now).unwrap(), "2030-01-01 00:00:00");
        assert_eq!(next("0 9 13 * 5", now).unwrap(), "2026-02-06 09:00:00");
    }

    #[test]
    fn gives_up_on_what_never_comes() {
        assert_eq!(next("0 0 30 2 *", "2026-01-31T09:30:00"), None);
        assert_eq!(next("0 0 1 1 * 0 2020", "2026-01-31T09:30:00"), None);
    }

    #[test]
    fn refuses_what_is_random_or_wrong() {
        let refusal = |text| Expression::parse(text).err();
        assert_eq!(refusal("R * * * *"), Some(Refusal::Random));
        assert_eq!(refusal("R(1-5) * * * *"), Some(Refusal::Random));
        for wrong in ["", "* * * *", "60 * * * *", "H * * * *", "* * * * 1#6", "*/0 * * * *", "@reboot", "* * 0 * *"] {
            assert_eq!(refusal(wrong), Some(Refusal::Invalid), "{wrong}");
        }
    }
}
