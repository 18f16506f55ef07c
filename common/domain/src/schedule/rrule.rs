//! Recurrence rules (RFC 5545), as dateutil reads them and Prefect evaluates them.
//!
//! The crate `rrule` refuses rules that dateutil takes (`BYHOUR=25` of an hourly rule, dates without time, `BYEASTER`
//! with its bounds), reads time zones differently at the clocks' changes, brings a second time zone database, and walks
//! from the rule's start to the present, which a rule may make as long as it likes. So it is written here.
//!
//! Everything is reckoned by the clock: Prefect drops the zones that `DTSTART`, `UNTIL`, `RDATE` and `EXDATE` name,
//! and puts the schedule's in their place. A time that comes twice is taken at its first occurrence, one that the
//! clocks jump over as much earlier (later, where the jump ends a zone's negative daylight saving time).
//!
//! A rule is evaluated period by period (a year, month, week, day, hour, minute or second). Its cost is bounded:
//!
//! - Without `COUNT` it begins with the period of `start`, found by division.
//! - With `COUNT` it has to be counted from its beginning. An unfiltered rule of days, hours, minutes or seconds is
//!   counted by division, any other one period by period; after [`COUNTED`] occurrences or periods it is held to be
//!   used up.
//! - It ends with the first period after `end`, and after [`PERIODS`] periods that brought nothing.
//! - All rules of a recurrence share [`Bound::RecurrenceSteps`]. When none is left the recurrence is over: what its
//!   other rules would exclude is not known.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap},
    rc::Rc,
};

use budget::{Bound, Meter};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};

use super::{
    CANDIDATES, Span,
    zone::{self, Occurrence, Zone},
};
use crate::model::Timestamp;

/// How many occurrences or periods of a rule with `COUNT` are counted before it is held to be used up.
const COUNTED: u64 = 100_000;
/// How many periods without an occurrence end the search.
const PERIODS: u64 = 200_000;
/// The most characters of a rule (`MAX_RRULE_LENGTH`).
const CHARACTERS: usize = 6500;
/// The last year that Python's calendar has.
const LAST_YEAR: i32 = 9999;

/// What a rule begins with if it doesn't say.
fn default_start() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2020, 1, 1).unwrap_or_default().and_time(NaiveTime::MIN)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Frequency {
    Yearly,
    Monthly,
    Weekly,
    Daily,
    Hourly,
    Minutely,
    Secondly,
}

impl Frequency {
    /// Returns the seconds of a period of a day or less.
    fn seconds(self) -> Option<i64> {
        match self {
            Self::Yearly | Self::Monthly | Self::Weekly => None,
            Self::Daily => Some(86_400),
            Self::Hourly => Some(3600),
            Self::Minutely => Some(60),
            Self::Secondly => Some(1),
        }
    }
}

/// A time that a rule names, with whether a zone came with it.
#[derive(Clone, Copy, Debug)]
struct Named {
    time: NaiveDateTime,
    zoned: bool,
}

/// One `RRULE` or `EXRULE` as it is written.
#[derive(Clone, Debug, Default)]
struct Parts {
    frequency: Option<Frequency>,
    interval: Option<i64>,
    count: Option<i64>,
    until: Option<Named>,
    week_start: Option<u32>,
    by: HashMap<By, Vec<i64>>,
    by_weekday: Option<Vec<(u32, Option<i64>)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum By {
    SetPos,
    Month,
    MonthDay,
    YearDay,
    Easter,
    WeekNo,
    Hour,
    Minute,
    Second,
}

/// A rule or a set of rules and dates that was understood.
#[derive(Clone, Debug, Default)]
pub(super) struct Recurrence {
    rules: Vec<Parts>,
    dates: Vec<NaiveDateTime>,
    excluded_rules: Vec<Parts>,
    excluded_dates: Vec<NaiveDateTime>,
    start: Option<Named>,
    is_set: bool,
}

/// One rule ready to be evaluated: dateutil's defaults are filled in from the start.
#[derive(Clone, Debug)]
struct Rule {
    start: NaiveDateTime,
    frequency: Frequency,
    interval: i64,
    count: Option<i64>,
    until: Option<NaiveDateTime>,
    /// Days from Monday.
    week_start: u32,
    set_positions: Vec<i64>,
    months: Vec<i64>,
    month_days: Vec<i64>,
    year_days: Vec<i64>,
    easter: Vec<i64>,
    weeks: Vec<i64>,
    weekdays: Vec<u32>,
    nth_weekdays: Vec<(u32, i64)>,
    hours: Option<Vec<i64>>,
    minutes: Option<Vec<i64>>,
    seconds: Option<Vec<i64>>,
}

/// Returns the rule if it is one, or Prefect's message about what is wrong with it.
///
/// # Errors
/// The message of Prefect's `validate_rrule_string`. Where dateutil breaks down (no `FREQ`, no rule at all) it is one
/// of ours.
pub(super) fn parse(text: &str) -> Result<Recurrence, String> {
    let length = text.chars().count();
    let too_long = || {
        let head: String = text.chars().take(40).collect();
        format!("Invalid RRule string \"{head}...\"\nMax length is {CHARACTERS}, got {length}")
    };
    // Prefect reads a rule of any length first, and tells what else is wrong with it.
    if length > 4 * CHARACTERS {
        return Err(too_long());
    }
    let read = Recurrence::read(text).and_then(|recurrence| recurrence.check().map(|()| recurrence));
    let recurrence = read.map_err(|why| format!("Invalid RRule string \"{text}\": {why}"))?;
    if length > CHARACTERS {
        return Err(too_long());
    }
    let rules = recurrence.rules.len() + recurrence.excluded_rules.len();
    Bound::RecurrenceRules.check(rules).map_err(|exceeded| exceeded.to_string())?;
    Ok(recurrence)
}

/// Returns the rule with a `DTSTART`, as Prefect stores it (`normalize_rrule_string`).
///
/// Rules of seconds and minutes begin near `now`, which changes nothing that comes later; all others in 2020.
pub(super) fn normalize(text: &str, timezone: Option<&str>, now: Timestamp) -> String {
    if text.to_uppercase().contains("DTSTART") {
        return text.to_owned();
    }
    let Ok(recurrence) = Recurrence::read(text) else { return text.to_owned() };
    let Ok(rules) = recurrence.resolved() else { return text.to_owned() };
    let mut start = default_start();
    let period = match rules.rules.as_slice() {
        [rule] if !recurrence.is_set && rule.count.is_none() && rule.frequency >= Frequency::Minutely => {
            rule.frequency.seconds().map(|seconds| seconds.saturating_mul(rule.interval))
        }
        _ => None,
    };
    if let (Some(period @ 1..), Some(zone)) = (period, Zone::of_schedule(timezone)) {
        let elapsed = (zone.local(now.as_chrono()) - start).num_seconds();
        start += TimeDelta::seconds(elapsed.max(0) / period * period);
    }
    format!("DTSTART:{}\n{text}", start.format("%Y%m%dT%H%M%S"))
}

/// Returns the instants of a rule, in order, as Prefect's `RRuleSchedule.get_dates` does.
pub(super) fn instants(recurrence: &Recurrence, zone: &Zone, span: Span, steps: &Rc<Meter>) -> Vec<Timestamp> {
    let Ok(resolved) = recurrence.resolved() else { return Vec::new() };
    let start = span.start.as_chrono();
    let end = span.end.map(Timestamp::as_chrono);
    // By the clock, what follows `start` may come before it only where the clocks change.
    let day = TimeDelta::hours(26);
    let margin = if zone.changes_between(start - day, start + day) { day } else { TimeDelta::zero() };
    let from = zone.local(start) - margin;
    let until = end.map(|end| zone.local(end) + day);
    let mut found = BTreeSet::new();
    for local in resolved.occurrences(from, until, steps) {
        let Some(instant) = instant_of(local, zone) else { break };
        if instant < start {
            continue;
        }
        if found.len() >= span.count.max(1) || end.is_some_and(|end| instant > end) {
            break;
        }
        let Some(instant) = zone::timestamp(instant) else { break };
        found.insert(instant);
    }
    found.into_iter().take(span.count.clamp(1, CANDIDATES)).collect()
}

/// Returns the instant at which dateutil holds the zone's clocks to show `local`.
///
/// Where daylight saving time is negative (Dublin, Casablanca), it holds the hour that comes twice to be the one after
/// it.
fn instant_of(local: NaiveDateTime, zone: &Zone) -> Option<DateTime<Utc>> {
    let offset = match zone.occurrence(local) {
        Occurrence::Twice { first: offset, .. } => offset,
        Occurrence::Once(offset) => {
            let instant = zone::instant(local, offset)?;
            let change = zone.change_before(instant).filter(|_| zone.saves_daylight(instant));
            let too_late = |(before, change)| instant - change < TimeDelta::seconds(2 * (before - offset));
            change.filter(|change| too_late(*change)).map_or(offset, |(before, _)| before)
        }
        Occurrence::Never { before, after } => {
            let earlier = zone::instant(local, after)? - TimeDelta::days(1);
            let later = zone::instant(local, before)? + TimeDelta::days(1);
            if zone.saves_daylight(later) && !zone.saves_daylight(earlier) { after } else { before }
        }
    };
    zone::instant(local, offset)
}

impl Recurrence {
    /// Reads a rule or a set as `dateutil.rrule.rrulestr` does, up to where it makes rules of it.
    fn read(text: &str) -> Result<Self, String> {
        let upper = text.to_uppercase();
        let lines: Vec<&str> = upper.split_whitespace().collect();
        let mut read = Self::default();
        match lines.as_slice() {
            [] => return Err("empty string".to_owned()),
            [line] if !upper.contains(':') || upper.starts_with("RRULE:") => {
                read.rules.push(Parts::read(line)?);
                return Ok(read);
            }
            _ => {}
        }
        let mut rules = Vec::new();
        let mut dates = Vec::new();
        let mut excluded_rules = Vec::new();
        let mut has_excluded_dates = false;
        for line in lines {
            let (property, value) = line.split_once(':').unwrap_or(("RRULE", line));
            let mut parameters = property.split(';');
            let name = parameters.next().unwrap_or_default();
            match name {
                "RRULE" | "EXRULE" => {
                    if let Some(parameter) = parameters.next() {
                        return Err(format!("unsupported {name} parm: {parameter}"));
                    }
                    if name == "RRULE" { rules.push(value) } else { excluded_rules.push(value) }
                }
                "RDATE" => {
                    if let Some(parameter) = parameters.find(|parameter| *parameter != "VALUE=DATE-TIME") {
                        return Err(format!("unsupported RDATE parm: {parameter}"));
                    }
                    dates.push(value);
                }
                "EXDATE" => {
                    has_excluded_dates = true;
                    let excluded = read_dates(value, parameters, text)?;
                    read.excluded_dates.extend(excluded.into_iter().map(|date| date.time));
                }
                "DTSTART" => match read_dates(value, parameters, text)?.as_slice() {
                    [start] => read.start = Some(*start),
                    _ => return Err(format!("Multiple DTSTART values specified:{value}")),
                },
                name => return Err(format!("unsupported property: {name}")),
            }
        }
        read.is_set =
            rules.len() > 1 || !dates.is_empty() || !excluded_rules.is_empty() || !read.excluded_dates.is_empty();
        read.is_set |= has_excluded_dates;
        if rules.is_empty() && !read.is_set {
            return Err("it has no rule".to_owned());
        }
        read.rules = rules.into_iter().map(Parts::read).collect::<Result<_, _>>()?;
        for value in dates {
            for date in value.split(',') {
                read.dates.push(read_date(date)?.time);
            }
        }
        read.excluded_rules = excluded_rules.into_iter().map(Parts::read).collect::<Result<_, _>>()?;
        Ok(read)
    }

    /// Checks what dateutil checks as it makes rules.
    ///
    /// A rule without a start is checked with the one that it will be given. Prefect checks it with the present, so
    /// that its answer depends on the minute.
    fn check(&self) -> Result<(), String> {
        for parts in self.rules.iter().chain(&self.excluded_rules) {
            if let (Some(start), Some(until)) = (self.start, parts.until)
                && start.zoned != until.zoned
            {
                let why = "RRULE UNTIL values must be specified in UTC when DTSTART is timezone-aware";
                return Err(why.to_owned());
            }
            Rule::resolve(parts, self.start.map_or_else(default_start, |start| start.time))?;
        }
        Ok(())
    }

    /// Makes the rules as Prefect does when it looks for instants.
    ///
    /// # Errors
    /// Where `UNTIL` names a zone and the rule has no start: Prefect takes such a rule, and then breaks down.
    fn resolved(&self) -> Result<Resolved, String> {
        let start = self.start.unwrap_or(Named { time: default_start(), zoned: false });
        let make = |parts: &Parts| match parts.until {
            Some(until) if until.zoned != start.zoned => Err("it has no start, but an end in a zone".to_owned()),
            _ => Rule::resolve(parts, start.time),
        };
        Ok(Resolved {
            rules: self.rules.iter().map(make).collect::<Result<_, _>>()?,
            excluded_rules: self.excluded_rules.iter().map(make).collect::<Result<_, _>>()?,
            dates: self.dates.clone(),
            excluded_dates: self.excluded_dates.clone(),
        })
    }
}

/// The rules and dates of a recurrence, ready to be evaluated.
struct Resolved {
    rules: Vec<Rule>,
    dates: Vec<NaiveDateTime>,
    excluded_rules: Vec<Rule>,
    excluded_dates: Vec<NaiveDateTime>,
}

impl Resolved {
    /// Returns what recurs from `from` to `until`, by the clock, in order and each once.
    fn occurrences(
        &self,
        from: NaiveDateTime,
        until: Option<NaiveDateTime>,
        steps: &Rc<Meter>,
    ) -> impl Iterator<Item = NaiveDateTime> + use<> {
        let mut included = Merged::new(&self.rules, &self.dates, from, until, steps);
        let mut excluded = Merged::new(&self.excluded_rules, &self.excluded_dates, from, until, steps).peekable();
        let steps = Rc::clone(steps);
        let mut last = None;
        let mut dropped = 0;
        std::iter::from_fn(move || {
            loop {
                let next = included.next()?;
                if last == Some(next) {
                    continue;
                }
                last = Some(next);
                while excluded.peek().is_some_and(|excluded| *excluded < next) {
                    excluded.next();
                }
                if steps.left() == 0 {
                    return None;
                }
                if excluded.peek() != Some(&next) {
                    return Some(next);
                }
                dropped += 1;
                if dropped > PERIODS {
                    return None;
                }
            }
        })
    }
}

/// Several rules and dates in the order of time.
struct Merged {
    sources: Vec<Box<dyn Iterator<Item = NaiveDateTime>>>,
    next: BinaryHeap<Reverse<(NaiveDateTime, usize)>>,
}

impl Merged {
    fn new(
        rules: &[Rule],
        dates: &[NaiveDateTime],
        from: NaiveDateTime,
        until: Option<NaiveDateTime>,
        steps: &Rc<Meter>,
    ) -> Self {
        let mut dates: Vec<_> = dates.iter().copied().filter(|date| *date >= from).collect();
        dates.sort_unstable();
        let mut sources: Vec<Box<dyn Iterator<Item = NaiveDateTime>>> = vec![Box::new(dates.into_iter())];
        for rule in rules {
            sources.push(Box::new(Occurrences::new(rule.clone(), from, until, Rc::clone(steps))));
        }
        let firsts = sources.iter_mut().enumerate();
        let next = firsts.filter_map(|(at, source)| source.next().map(|first| Reverse((first, at)))).collect();
        Self { sources, next }
    }
}

impl Iterator for Merged {
    type Item = NaiveDateTime;

    fn next(&mut self) -> Option<NaiveDateTime> {
        let Reverse((time, at)) = self.next.pop()?;
        if let Some(later) = self.sources.get_mut(at).and_then(Iterator::next) {
            self.next.push(Reverse((later, at)));
        }
        Some(time)
    }
}

impl Parts {
    /// Reads `NAME=value;…` as dateutil does, with its messages.
    fn read(line: &str) -> Result<Self, String> {
        let value = match line.split(':').collect::<Vec<_>>().as_slice() {
            [value] | ["RRULE", value] => *value,
            [_, _] => return Err("unknown parameter name".to_owned()),
            _ => return Err("too many values to unpack (expected 2)".to_owned()),
        };
        let mut parts = Self::default();
        for pair in value.split(';') {
            match pair.split('=').collect::<Vec<_>>().as_slice() {
                [name, value] => parts.take(name, value)?,
                [_] => return Err("not enough values to unpack (expected 2, got 1)".to_owned()),
                _ => return Err("too many values to unpack (expected 2)".to_owned()),
            }
        }
        Ok(parts)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let by = match name {
            "BYSETPOS" => Some(By::SetPos),
            "BYMONTH" => Some(By::Month),
            "BYMONTHDAY" => Some(By::MonthDay),
            "BYYEARDAY" => Some(By::YearDay),
            "BYEASTER" => Some(By::Easter),
            "BYWEEKNO" => Some(By::WeekNo),
            "BYHOUR" => Some(By::Hour),
            "BYMINUTE" => Some(By::Minute),
            "BYSECOND" => Some(By::Second),
            _ => None,
        };
        let taken = match name {
            "FREQ" => frequency(value).map(|frequency| self.frequency = Some(frequency)),
            "INTERVAL" => integer(value).map(|interval| self.interval = Some(interval)),
            "COUNT" => integer(value).map(|count| self.count = Some(count)),
            "UNTIL" => read_date(value).ok().map(|until| self.until = Some(until)),
            "WKST" => weekday(value).map(|day| self.week_start = Some(day)),
            "BYDAY" | "BYWEEKDAY" => weekdays(value).map(|days| self.by_weekday = Some(days)),
            _ => match by {
                None => return Err(format!("unknown parameter '{name}'")),
                Some(by) => {
                    let numbers: Option<Vec<_>> = value.split(',').map(integer).collect();
                    numbers.map(|numbers| {
                        self.by.insert(by, numbers);
                    })
                }
            },
        };
        taken.ok_or_else(|| format!("invalid '{name}': {value}"))
    }
}

fn frequency(value: &str) -> Option<Frequency> {
    Some(match value {
        "YEARLY" => Frequency::Yearly,
        "MONTHLY" => Frequency::Monthly,
        "WEEKLY" => Frequency::Weekly,
        "DAILY" => Frequency::Daily,
        "HOURLY" => Frequency::Hourly,
        "MINUTELY" => Frequency::Minutely,
        "SECONDLY" => Frequency::Secondly,
        _ => return None,
    })
}

/// Reads an integer as Python's `int` does, where numbers beyond a million million are as good as that.
fn integer(text: &str) -> Option<i64> {
    const MOST: i64 = 1_000_000_000_000;
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let grouped = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    let plain = digits.replace('_', "");
    let is_number = grouped && !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| sign * plain.parse().unwrap_or(MOST).min(MOST))
}

fn weekday(name: &str) -> Option<u32> {
    ["MO", "TU", "WE", "TH", "FR", "SA", "SU"].iter().position(|day| *day == name).and_then(|day| day.try_into().ok())
}

/// Reads `MO`, `+1MO` and `MO(+1)`, separated by commas.
fn weekdays(value: &str) -> Option<Vec<(u32, Option<i64>)>> {
    let read = |text: &str| {
        let (name, nth) = if let Some((name, rest)) = text.split_once('(') {
            let mut inner = rest.split('(').next()?.chars();
            inner.next_back()?;
            (name, Some(integer(inner.as_str())?))
        } else {
            let at = text.find(|c| !"+-0123456789".contains(c))?;
            let (nth, name) = text.split_at(at);
            (name, if nth.is_empty() { None } else { Some(integer(nth)?) })
        };
        (nth != Some(0)).then_some((weekday(name)?, nth))
    };
    value.split(',').map(read).collect()
}

/// Reads the dates of `DTSTART` and `EXDATE` with their parameters.
fn read_dates<'a>(
    value: &str,
    parameters: impl Iterator<Item = &'a str>,
    original: &str,
) -> Result<Vec<Named>, String> {
    let mut zoned = false;
    let mut has_kind = false;
    for parameter in parameters {
        if let Some(name) = parameter.strip_prefix("TZID=") {
            zoned = zone_names(original).any(|zone| zone.to_uppercase() == name && zone::is_time_zone(zone));
        } else if !matches!(parameter, "VALUE=DATE-TIME" | "VALUE=DATE") {
            return Err(format!("unsupported parm: {parameter}"));
        } else if has_kind {
            return Err(format!("Duplicate value parameter found in: {parameter}"));
        } else {
            has_kind = true;
        }
    }
    let read = |text| match read_date(text)? {
        date if zoned && date.zoned => Err("DTSTART/EXDATE specifies multiple timezone".to_owned()),
        date => Ok(Named { zoned: zoned || date.zoned, ..date }),
    };
    value.split(',').map(read).collect()
}

/// Returns what `TZID=` names, in the case in which it was written.
fn zone_names(text: &str) -> impl Iterator<Item = &str> {
    text.split("TZID=").skip(1).filter_map(|rest| rest.split_once(':')).map(|(name, _)| name)
}

/// Reads a date or time: `20260131T093000Z`, `20260131T0930`, `20260131`, or with dashes and colons.
///
/// dateutil guesses at much more (`31 JAN 2026`), which no rule should have and is refused here.
fn read_date(text: &str) -> Result<Named, String> {
    let failed = || format!("Unknown string format: {text}");
    let (body, mut zoned) = match text.strip_suffix('Z') {
        Some(body) => (body, true),
        None => (text, false),
    };
    let (date, time) = body.split_once('T').map_or((body, None), |(date, time)| (date, Some(time)));
    let date = ["%Y%m%d", "%Y-%m-%d"].iter().find_map(|form| {
        let length = if form.contains('-') { 10 } else { 8 };
        (date.len() == length).then(|| NaiveDate::parse_from_str(date, form).ok())?
    });
    let date = date.filter(|date| (1..=LAST_YEAR).contains(&date.year())).ok_or_else(failed)?;
    let Some(time) = time else { return Ok(Named { time: date.and_time(NaiveTime::MIN), zoned }) };
    let time = match time.find(['+', '-']).and_then(|at| time.split_at_checked(at)) {
        Some((time, _offset)) => {
            zoned = true;
            time
        }
        None => time,
    };
    let forms = ["%H%M%S", "%H:%M:%S", "%H%M", "%H:%M"];
    let read = forms.iter().find_map(|form| NaiveTime::parse_from_str(time, form).ok());
    let time = read.ok_or_else(failed)?;
    Ok(Named { time: date.and_time(time), zoned })
}

impl Rule {
    /// Fills in what the start says where the rule says nothing, and checks it, as dateutil's `rrule` does.
    fn resolve(parts: &Parts, start: NaiveDateTime) -> Result<Self, String> {
        let frequency = parts.frequency.ok_or("it has no FREQ")?;
        let by = |part| parts.by.get(&part).cloned();
        let set_positions = by(By::SetPos).unwrap_or_default();
        if set_positions.iter().any(|position| *position == 0 || position.abs() > 366) {
            return Err("bysetpos must be between 1 and 366, or between -366 and -1".to_owned());
        }
        let unsaid =
            [By::WeekNo, By::YearDay, By::MonthDay, By::Easter].iter().all(|part| !parts.by.contains_key(part))
                && parts.by_weekday.is_none();
        let implied = |frequencies: &[Frequency]| unsaid && frequencies.contains(&frequency);
        let mut months = by(By::Month).unwrap_or_default();
        if months.is_empty() && implied(&[Frequency::Yearly]) {
            months.push(start.month().into());
        }
        let mut month_days = by(By::MonthDay).unwrap_or_default();
        if implied(&[Frequency::Yearly, Frequency::Monthly]) {
            month_days.push(start.day().into());
        }
        let mut given = parts.by_weekday.clone().unwrap_or_default();
        if implied(&[Frequency::Weekly]) {
            given.push((start.weekday().num_days_from_monday(), None));
        }
        let mut weekdays = Vec::new();
        let mut nth_weekdays = Vec::new();
        for (weekday, nth) in given {
            match nth.filter(|_| frequency <= Frequency::Monthly) {
                Some(nth) => nth_weekdays.push((weekday, nth)),
                None => weekdays.push(weekday),
            }
        }
        let interval = parts.interval.unwrap_or(1);
        let within_reach = |given: Option<Vec<i64>>, own: Frequency, start: u32, base: i64| match given {
            None if frequency < own => Ok(Some(vec![start.into()])),
            None => Ok(None),
            Some(mut values) => {
                if frequency == own {
                    let common = greatest_common_divisor(interval, base);
                    values.retain(|value| (value - i64::from(start)).rem_euclid(common) == 0);
                }
                values.sort_unstable();
                values.dedup();
                let reaches = !values.is_empty();
                reaches.then_some(Some(values)).ok_or("Invalid rrule byxxx generates an empty set.")
            }
        };
        let hours = within_reach(by(By::Hour), Frequency::Hourly, start.hour(), 24)?;
        let minutes = within_reach(by(By::Minute), Frequency::Minutely, start.minute(), 60)?;
        let seconds = within_reach(by(By::Second), Frequency::Secondly, start.second(), 60)?;
        if frequency < Frequency::Hourly {
            check_times(hours.as_deref(), minutes.as_deref(), seconds.as_deref())?;
        }
        Ok(Self {
            start,
            frequency,
            interval,
            count: parts.count,
            until: parts.until.map(|until| until.time),
            week_start: parts.week_start.unwrap_or(0),
            set_positions,
            months,
            month_days: month_days.into_iter().filter(|day| *day != 0).collect(),
            year_days: by(By::YearDay).unwrap_or_default(),
            easter: by(By::Easter).unwrap_or_default(),
            weeks: by(By::WeekNo).unwrap_or_default(),
            weekdays,
            nth_weekdays,
            hours,
            minutes,
            seconds,
        })
    }

    /// Returns when occurrences are within a period's day (or hour, minute), in seconds from its beginning.
    fn times(&self) -> Vec<i64> {
        let part = |values: &Option<Vec<i64>>, from: Frequency, below: i64| match values {
            Some(values) if self.frequency < from => values.iter().copied().filter(|value| *value < below).collect(),
            _ => vec![0],
        };
        let hours = part(&self.hours, Frequency::Hourly, 24);
        let minutes = part(&self.minutes, Frequency::Minutely, 60);
        let seconds = part(&self.seconds, Frequency::Secondly, 60);
        let mut times = BTreeSet::new();
        for hour in &hours {
            for minute in &minutes {
                times.extend(seconds.iter().map(|second| hour * 3600 + minute * 60 + second).filter(|time| *time >= 0));
            }
        }
        times.into_iter().collect()
    }

    /// Returns how many steps it takes to select the days of a year.
    fn steps_of_masks(&self) -> u64 {
        let numbers = self.weeks.len() + self.easter.len() + self.nth_weekdays.len();
        if numbers == 0 { 0 } else { 50 + u64::try_from(numbers).unwrap_or(u64::MAX) }
    }

    /// Returns how many steps it takes to look at the days of a period.
    fn steps_of_period(&self) -> u64 {
        let days = match self.frequency {
            Frequency::Yearly => 366,
            Frequency::Monthly => 31,
            Frequency::Weekly => 7,
            _ => 1,
        };
        let numbers = self.months.len() + self.month_days.len() + self.year_days.len() + self.weekdays.len();
        let looks = 1 + u64::try_from(numbers).unwrap_or(u64::MAX) / 32;
        days * looks + u64::try_from(self.set_positions.len()).unwrap_or(u64::MAX) / 8
    }

    /// Tells whether every period has the same occurrences, so that they can be counted by division.
    fn is_plain(&self) -> bool {
        let limits = [&self.months, &self.month_days, &self.year_days, &self.easter, &self.weeks, &self.set_positions];
        let parts = [
            (&self.hours, Frequency::Hourly),
            (&self.minutes, Frequency::Minutely),
            (&self.seconds, Frequency::Secondly),
        ];
        self.frequency >= Frequency::Daily
            && limits.iter().all(|limit| limit.is_empty())
            && self.weekdays.is_empty()
            && parts.iter().all(|(values, own)| values.is_none() || self.frequency < *own)
    }

    /// Returns the beginning of a period; the first weekly one begins with the rule, in the middle of its week.
    fn period(&self, number: i64) -> Option<NaiveDateTime> {
        let step = number.checked_mul(self.interval)?;
        let date = self.start.date();
        let begins = match self.frequency {
            Frequency::Yearly => {
                let year = i64::from(date.year()).checked_add(step)?;
                NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, 1, 1)?.and_time(NaiveTime::MIN)
            }
            Frequency::Monthly => {
                let month = (i64::from(date.year()) * 12 + i64::from(date.month0())).checked_add(step)?;
                let (year, month) =
                    (i32::try_from(month.div_euclid(12)).ok()?, u32::try_from(month.rem_euclid(12)).ok()?);
                NaiveDate::from_ymd_opt(year, month + 1, 1)?.and_time(NaiveTime::MIN)
            }
            Frequency::Weekly if number == 0 => date.and_time(NaiveTime::MIN),
            Frequency::Weekly => self.week_of(date).checked_add_signed(TimeDelta::try_weeks(step)?)?,
            frequency => {
                let unit = frequency.seconds()?;
                let first = truncated(self.start, unit)?;
                first.checked_add_signed(TimeDelta::try_seconds(step.checked_mul(unit)?)?)?
            }
        };
        (begins.year() <= LAST_YEAR).then_some(begins)
    }

    /// Returns the number of the last period that begins at or before `time`, or 0.
    fn period_at(&self, time: NaiveDateTime) -> i64 {
        let (start, date) = (self.start.date(), time.date());
        let passed = match self.frequency {
            Frequency::Yearly => i64::from(date.year()) - i64::from(start.year()),
            Frequency::Monthly => {
                let month = |date: NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month0());
                month(date) - month(start)
            }
            Frequency::Weekly => (time - self.week_of(start)).num_weeks(),
            frequency => {
                let unit = frequency.seconds().unwrap_or(1);
                truncated(self.start, unit).map_or(0, |first| (time - first).num_seconds().div_euclid(unit))
            }
        };
        passed.max(0) / self.interval
    }

    fn week_of(&self, date: NaiveDate) -> NaiveDateTime {
        let into = (date.weekday().num_days_from_monday() + 7 - self.week_start % 7) % 7;
        date.checked_sub_days(Days::new(into.into())).unwrap_or(date).and_time(NaiveTime::MIN)
    }

    /// Returns the first day after the period that begins with `date`.
    fn end_of_period(&self, date: NaiveDate) -> NaiveDate {
        let end = match self.frequency {
            Frequency::Yearly => NaiveDate::from_ymd_opt(date.year() + 1, 1, 1),
            Frequency::Monthly => date.checked_add_days(Days::new(u64::from(date.num_days_in_month()))),
            Frequency::Weekly => self.week_of(date).date().checked_add_days(Days::new(7)),
            _ => date.succ_opt(),
        };
        end.unwrap_or(date)
    }

    /// Tells for which number of the period that a rule of hours, minutes or seconds next has to look at, if not this.
    fn skip_time(&self, time: NaiveDateTime) -> Option<NaiveDateTime> {
        let lacks = |values: &Option<Vec<i64>>, value: u32, own: Frequency| {
            self.frequency >= own && values.as_ref().is_some_and(|values| !values.contains(&value.into()))
        };
        let next = |unit| Some(truncated(time, unit)? + TimeDelta::seconds(unit));
        if lacks(&self.hours, time.hour(), Frequency::Hourly) {
            return next(3600);
        }
        if lacks(&self.minutes, time.minute(), Frequency::Minutely) {
            return next(60);
        }
        if lacks(&self.seconds, time.second(), Frequency::Secondly) { next(1) } else { None }
    }
}

fn check_times(hours: Option<&[i64]>, minutes: Option<&[i64]>, seconds: Option<&[i64]>) -> Result<(), String> {
    let (hours, minutes) = (hours.unwrap_or_default(), minutes.unwrap_or_default());
    for hour in hours {
        if !(0..24).contains(hour) {
            return Err("hour must be in 0..23".to_owned());
        }
        for minute in minutes {
            if !(0..60).contains(minute) {
                return Err("minute must be in 0..59".to_owned());
            }
            if seconds.is_some_and(|seconds| seconds.iter().any(|second| !(0..60).contains(second))) {
                return Err("second must be in 0..59".to_owned());
            }
        }
    }
    Ok(())
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if a == 0 { b.abs() } else { greatest_common_divisor(b % a, a) }
}

/// Cuts a time to whole units of seconds, counted from midnight.
fn truncated(time: NaiveDateTime, unit: i64) -> Option<NaiveDateTime> {
    let seconds = i64::from(time.num_seconds_from_midnight());
    let cut = u32::try_from(seconds - seconds % unit).ok()?;
    Some(time.date().and_time(NaiveTime::from_num_seconds_from_midnight_opt(cut, 0)?))
}

/// What a rule's parts select of a year, as days from its beginning; weeks that begin in it reach into the next.
#[derive(Clone, Debug)]
struct YearMasks {
    first: NaiveDate,
    month: u32,
    weeks: Option<Vec<bool>>,
    easter: Option<Vec<bool>>,
    nth_weekdays: Option<Vec<bool>>,
}

impl YearMasks {
    /// Selects the days of the year of the period that begins with `date`.
    fn new(rule: &Rule, date: NaiveDate) -> Option<Self> {
        let first = NaiveDate::from_ymd_opt(date.year(), 1, 1)?;
        Some(Self {
            first,
            month: date.month(),
            weeks: (!rule.weeks.is_empty()).then(|| weeks_mask(rule, first)),
            easter: (!rule.easter.is_empty()).then(|| easter_mask(rule, first)),
            nth_weekdays: (!rule.nth_weekdays.is_empty()).then(|| nth_weekdays_mask(rule, first, date.month())),
        })
    }

    fn allows(&self, rule: &Rule, date: NaiveDate) -> bool {
        let index = usize::try_from((date - self.first).num_days()).unwrap_or(usize::MAX);
        let masked = |mask: &Option<Vec<bool>>| mask.as_ref().is_none_or(|mask| mask.get(index) == Some(&true));
        let named = |values: &[i64], value: i64, length: i64| {
            values.is_empty() || values.contains(&value) || values.contains(&(value - length - 1))
        };
        let year_length = if date.leap_year() { 366 } else { 365 };
        (rule.months.is_empty() || rule.months.contains(&date.month().into()))
            && (rule.weekdays.is_empty() || rule.weekdays.contains(&date.weekday().num_days_from_monday()))
            && named(&rule.month_days, date.day().into(), date.num_days_in_month().into())
            && named(&rule.year_days, date.ordinal().into(), year_length)
            && masked(&self.weeks)
            && masked(&self.easter)
            && masked(&self.nth_weekdays)
    }
}

fn year_length(first: NaiveDate) -> i64 {
    if first.leap_year() { 366 } else { 365 }
}

fn mark(mask: &mut [bool], index: i64) {
    if let Some(day) = usize::try_from(index).ok().and_then(|index| mask.get_mut(index)) {
        *day = true;
    }
}

/// Selects weeks by number, as dateutil does: the last week of the year before is reckoned with this year's length.
fn weeks_mask(rule: &Rule, first: NaiveDate) -> Vec<bool> {
    let length = year_length(first);
    let mut mask = vec![false; usize::try_from(length + 7).unwrap_or_default()];
    let week_start = i64::from(rule.week_start);
    let weekday = i64::from(first.weekday().num_days_from_monday());
    let first_start = (7 - weekday + week_start).rem_euclid(7);
    let (first_week, days) = if first_start >= 4 {
        (0, length + (weekday - week_start).rem_euclid(7))
    } else {
        (first_start, length - first_start)
    };
    let count = days / 7 + days % 7 / 4;
    let shift = if first_week == first_start { 0 } else { 7 - first_start };
    let mut mark_week = |from: i64| {
        for index in from..from + 7 {
            mark(&mut mask, index);
            if (weekday + index + 1).rem_euclid(7) == week_start {
                break;
            }
        }
    };
    for number in &rule.weeks {
        let number = if *number < 0 { number + count + 1 } else { *number };
        if (1..=count).contains(&number) {
            mark_week(if number > 1 { first_week + (number - 1) * 7 - shift } else { first_week });
        }
    }
    let next_first = first_week + count * 7 - shift;
    if rule.weeks.contains(&1) && next_first < length {
        mark_week(next_first);
    }
    if first_week > 0 {
        let last = if rule.weeks.contains(&-1) {
            -1
        } else {
            let before = first.with_year(first.year() - 1).unwrap_or(first);
            let weekday = i64::from(before.weekday().num_days_from_monday());
            let days = if (7 - weekday + week_start).rem_euclid(7) >= 4 {
                year_length(before) + (weekday - week_start).rem_euclid(7)
            } else {
                length - first_week
            };
            52 + days % 7 / 4
        };
        if rule.weeks.contains(&last) {
            (0..first_week).for_each(|index| mark(&mut mask, index));
        }
    }
    mask
}

fn easter_mask(rule: &Rule, first: NaiveDate) -> Vec<bool> {
    let length = year_length(first) + 7;
    let mut mask = vec![false; usize::try_from(length).unwrap_or_default()];
    let sunday = easter(first.year()).map_or(0, |sunday| (sunday - first).num_days());
    for offset in &rule.easter {
        let index = sunday + offset;
        mark(&mut mask, if index < 0 { index + length } else { index });
    }
    mask
}

/// Returns Easter Sunday in the Gregorian calendar, by the algorithm of Meeus, Jones and Butcher.
fn easter(year: i32) -> Option<NaiveDate> {
    let (golden, century, of_century) = (year % 19, year / 100, year % 100);
    let correction = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - correction + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - epact - of_century % 4) % 7;
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    let days = epact + weekday - 7 * late + 114;
    NaiveDate::from_ymd_opt(year, u32::try_from(days / 31).ok()?, u32::try_from(days % 31 + 1).ok()?)
}

/// Selects the numbered weekdays of the year, or of the months that count.
fn nth_weekdays_mask(rule: &Rule, first: NaiveDate, month: u32) -> Vec<bool> {
    let mut mask = vec![false; usize::try_from(year_length(first)).unwrap_or_default()];
    let of_month = |month: i64| {
        let begin = first.with_month(u32::try_from(month).ok()?)?;
        let from = i64::from(begin.ordinal0());
        Some((from, from + i64::from(begin.num_days_in_month()) - 1))
    };
    let ranges: Vec<(i64, i64)> = match rule.frequency {
        Frequency::Yearly if rule.months.is_empty() => vec![(0, year_length(first) - 1)],
        Frequency::Yearly => rule.months.iter().filter_map(|month| of_month(*month)).collect(),
        _ => of_month(month.into()).into_iter().collect(),
    };
    let weekday = i64::from(first.weekday().num_days_from_monday());
    for (from, to) in ranges {
        for (wanted, nth) in &rule.nth_weekdays {
            let wanted = i64::from(*wanted);
            let index = if *nth < 0 {
                let index = to + (nth + 1) * 7;
                index - (weekday + index - wanted).rem_euclid(7)
            } else {
                let index = from + (nth - 1) * 7;
                index + (wanted - weekday - index).rem_euclid(7)
            };
            if (from..=to).contains(&index) {
                mark(&mut mask, index);
            }
        }
    }
    mask
}

/// The occurrences of one rule from a time on, by the clock.
struct Occurrences {
    rule: Rule,
    from: NaiveDateTime,
    until: NaiveDateTime,
    times: Vec<i64>,
    period: i64,
    remaining: Option<i64>,
    masks: Option<YearMasks>,
    /// The days (or hours, minutes, seconds) of the present period, and how far they are used up.
    bases: Vec<NaiveDateTime>,
    base: usize,
    time: usize,
    spent: u64,
    counted: u64,
    steps: Rc<Meter>,
}

impl Occurrences {
    fn new(rule: Rule, from: NaiveDateTime, until: Option<NaiveDateTime>, steps: Rc<Meter>) -> Self {
        let ends = [rule.until, until].into_iter().flatten().min().unwrap_or(NaiveDateTime::MAX);
        let mut times = if steps.left() == 0 { Vec::new() } else { rule.times() };
        // What does not suffice is seen where the next step is taken.
        let _ = steps.take_size(times.len());
        let positions = &rule.set_positions;
        // A period of less than a day always has the same number of occurrences, so positions beyond it never come.
        let most = i64::try_from(times.len()).unwrap_or(i64::MAX);
        if rule.interval < 1
            || (rule.frequency >= Frequency::Hourly
                && !positions.is_empty()
                && positions.iter().all(|at| at.abs() > most))
        {
            times.clear();
        }
        let mut occurrences = Self {
            from,
            until: ends,
            times,
            period: 0,
            remaining: rule.count,
            masks: None,
            bases: Vec::new(),
            base: 0,
            time: 0,
            spent: 0,
            counted: 0,
            steps,
            rule,
        };
        occurrences.begin();
        occurrences
    }

    /// Goes to the period of `from`, if the occurrences before it need not be counted or can be by division.
    fn begin(&mut self) {
        if self.times.is_empty() {
            return;
        }
        let near = self.rule.period_at(self.from);
        match self.remaining {
            None => self.period = near,
            Some(count) if self.rule.is_plain() && near > 0 => {
                let each = i64::try_from(self.times.len()).unwrap_or(i64::MAX);
                let first = self.rule.period(0).unwrap_or(self.rule.start);
                let early = self.times.iter().filter(|time| first + TimeDelta::seconds(**time) < self.rule.start);
                let early = i64::try_from(early.count()).unwrap_or(i64::MAX);
                self.remaining = Some(count.saturating_sub(near.saturating_mul(each).saturating_sub(early)));
                self.period = near;
            }
            Some(_) => {}
        }
    }

    /// Takes up the next period, or returns `None` if there is none.
    fn enter_period(&mut self) -> Option<()> {
        self.spent += 1;
        if self.spent > PERIODS || (self.remaining.is_some() && self.spent > COUNTED) {
            return None;
        }
        let begins = self.rule.period(self.period)?;
        if begins > self.until {
            return None;
        }
        self.bases.clear();
        (self.base, self.time) = (0, 0);
        let date = begins.date();
        let stale = |masks: &YearMasks| masks.first.year() != date.year() || masks.month != date.month();
        if self.masks.as_ref().is_none_or(stale) {
            self.steps.take(self.rule.steps_of_masks()).ok()?;
            self.masks = Some(YearMasks::new(&self.rule, date)?);
        }
        let masks = self.masks.as_ref()?;
        self.steps.take(self.rule.steps_of_period()).ok()?;
        if self.rule.frequency >= Frequency::Hourly {
            let skipped = if masks.allows(&self.rule, date) {
                self.rule.skip_time(begins)
            } else {
                Some(date.succ_opt()?.and_time(NaiveTime::MIN))
            };
            if let Some(next) = skipped {
                let reached = self.rule.period_at(next);
                let begins = self.rule.period(reached)?;
                self.period = if begins < next { reached + 1 } else { reached };
                return Some(());
            }
            self.bases.push(begins);
        } else {
            let end = self.rule.end_of_period(date);
            let days = date.iter_days().take_while(|day| *day < end).filter(|day| masks.allows(&self.rule, *day));
            self.bases.extend(days.map(|day| day.and_time(NaiveTime::MIN)));
        }
        self.period += 1;
        if !self.rule.set_positions.is_empty() {
            self.bases = self.positioned();
        }
        if self.remaining.is_none() {
            // What lies before `from` needs no look.
            let earliest = self.from.date().and_time(NaiveTime::MIN);
            let day_long = self.rule.frequency < Frequency::Hourly && self.rule.set_positions.is_empty();
            self.base = if day_long { self.bases.partition_point(|base| *base < earliest) } else { 0 };
            let base = self.bases.get(self.base).copied();
            if let Some(base) = base.filter(|_| self.rule.set_positions.is_empty()) {
                let into = (self.from - base).num_seconds();
                self.time = self.times.partition_point(|time| *time < into);
            }
        }
        Some(())
    }

    /// Returns the occurrences of the period that `BYSETPOS` selects.
    fn positioned(&self) -> Vec<NaiveDateTime> {
        let (days, times) = (self.bases.len().try_into().unwrap_or(i64::MAX), self.times.len().try_into().unwrap_or(1));
        let at = |position: &i64| {
            let index = if *position < 0 { *position } else { position - 1 };
            let day = index.div_euclid(times);
            let day = usize::try_from(if day < 0 { day.checked_add(days)? } else { day }).ok()?;
            let time = self.times.get(usize::try_from(index.rem_euclid(times)).ok()?)?;
            self.bases.get(day)?.checked_add_signed(TimeDelta::seconds(*time))
        };
        let chosen: BTreeSet<_> = self.rule.set_positions.iter().filter_map(at).collect();
        chosen.into_iter().collect()
    }
}

impl Iterator for Occurrences {
    type Item = NaiveDateTime;

    fn next(&mut self) -> Option<NaiveDateTime> {
        if self.times.is_empty() {
            return None;
        }
        let positioned = !self.rule.set_positions.is_empty();
        loop {
            self.steps.take(1).ok()?;
            let Some(base) = self.bases.get(self.base).copied() else {
                self.enter_period()?;
                continue;
            };
            let time = if positioned { (self.time == 0).then_some(0) } else { self.times.get(self.time).copied() };
            let Some(time) = time else {
                self.base += 1;
                self.time = 0;
                continue;
            };
            self.time += 1;
            let occurrence = base.checked_add_signed(TimeDelta::seconds(time))?;
            if occurrence > self.until {
                return None;
            }
            if occurrence < self.rule.start {
                continue;
            }
            if let Some(remaining) = &mut self.remaining {
                *remaining -= 1;
                self.counted += 1;
                if *remaining < 0 || self.counted > COUNTED {
                    return None;
                }
            }
            if occurrence >= self.from {
                self.spent = 0;
                return Some(occurrence);
            }
        }
    }
}
