//! Numbers, sizes and times as people say them (the plain filters of jinja2-humanize-extension, in English).
//!
//! Locales, fractions, metric units and precise lengths of time are absent.

use domain::model::Timestamp;
use minijinja::{Environment, Error, ErrorKind, value::Value};

use super::values::{Moment, Span};

/// Adds the filters to `environment`.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("humanize_intcomma", |value: Value| grouped(&value));
    environment.add_filter("humanize_ordinal", |value: Value| ordinal(&value));
    environment.add_filter("humanize_apnumber", |value: Value| small_number(&value));
    environment.add_filter("humanize_naturalsize", |value: Value| natural_size(&value));
    environment.add_filter("humanize_naturaldelta", |value: Value| natural_delta(&value));
    environment.add_filter("humanize_naturaltime", |value: Value| natural_time(&value));
    environment.add_filter("humanize_naturalday", |value: Value| natural_day(&value, "%b %d"));
    environment.add_filter("humanize_naturaldate", |value: Value| natural_date(&value));
}

/// Writes a number with commas between thousands; whatever else stays.
fn grouped(value: &Value) -> Value {
    let text = value.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.clone();
    }
    let mut told = String::from(sign);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    if let Some(fraction) = fraction {
        told.extend(['.']);
        told.push_str(fraction);
    }
    Value::from(told)
}

fn ordinal(value: &Value) -> Value {
    let Some(number) = whole(value) else { return value.clone() };
    let ending = match (number.rem_euclid(100), number.rem_euclid(10)) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    Value::from(format!("{number}{ending}"))
}

fn small_number(value: &Value) -> Value {
    const WORDS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let Some(number) = whole(value) else { return value.clone() };
    let word = usize::try_from(number).ok().and_then(|number| WORDS.get(number));
    word.map_or_else(|| Value::from(number.to_string()), |word| Value::from(*word))
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[allow(clippy::cast_precision_loss, reason = "as in Python")]
fn number(value: &Value) -> Option<f64> {
    f64::try_from(value.clone()).ok().or_else(|| value.as_str()?.trim().parse().ok())
}

fn natural_size(value: &Value) -> Result<String, Error> {
    const UNITS: [&str; 8] = ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
    let bytes = number(value).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "a size is a number"))?;
    if (bytes.abs() - 1.0).abs() < f64::EPSILON {
        return Ok(format!("{bytes:.0} Byte"));
    }
    if bytes.abs() < 1000.0 {
        return Ok(format!("{bytes:.0} Bytes"));
    }
    let mut size = bytes / 1000.0;
    let mut unit = 0;
    while size.abs() >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    Ok(format!("{size:.1} {}", UNITS[unit]))
}

fn natural_delta(value: &Value) -> Value {
    seconds(value).map_or_else(|| value.clone(), |seconds| Value::from(delta(seconds.abs())))
}

fn natural_time(value: &Value) -> Value {
    let seconds = match value.downcast_object_ref::<Moment>() {
        Some(moment) => Timestamp::now().seconds_since(moment.0),
        None => match seconds(value) {
            Some(seconds) => seconds,
            None => return value.clone(),
        },
    };
    let told = delta(seconds.abs());
    Value::from(match (told.as_str(), seconds < 0.0) {
        ("a moment", _) => "now".to_owned(),
        (told, true) => format!("{told} from now"),
        (told, false) => format!("{told} ago"),
    })
}

fn natural_day(value: &Value, format: &str) -> Value {
    let Some(moment) = value.downcast_object_ref::<Moment>() else { return value.clone() };
    let (day, today) = (moment.0.as_chrono().date_naive(), Timestamp::now().as_chrono().date_naive());
    Value::from(match day.signed_duration_since(today).num_days() {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        -1 => "yesterday".to_owned(),
        _ => day.format(format).to_string(),
    })
}

fn natural_date(value: &Value) -> Value {
    let Some(moment) = value.downcast_object_ref::<Moment>() else { return value.clone() };
    let (day, today) = (moment.0.as_chrono().date_naive(), Timestamp::now().as_chrono().date_naive());
    let is_far = day.signed_duration_since(today).num_days().abs() >= 5 * 365 / 12;
    natural_day(value, if is_far { "%b %d %Y" } else { "%b %d" })
}

fn seconds(value: &Value) -> Option<f64> {
    value.downcast_object_ref::<Span>().map(|span| span.seconds()).or_else(|| number(value))
}

/// Says how long `seconds` are, in the largest unit and with months.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "as in Python, and the cast saturates")]
fn delta(seconds: f64) -> String {
    let seconds = seconds as i64;
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    let (years, days) = (days / 365, days % 365);
    // Halves are rounded to even numbers, as Python does.
    let rounded = |number: f64| number.round_ties_even() as i64;
    let months = rounded(days as f64 / 30.5);
    let [minutes, hours] = [60.0, 3600.0].map(|unit| rounded(seconds as f64 / unit));
    let several = |count: i64, unit: &str| if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") };
    match (years, months, days) {
        (0, _, 0) => match (seconds, minutes, hours) {
            (0, ..) => "a moment".into(),
            (1, ..) => "a second".into(),
            (2..60, ..) => format!("{seconds} seconds"),
            (60..3600, 1, _) => "a minute".into(),
            (60..3600, 2..60, _) => format!("{minutes} minutes"),
            (..3600, ..) | (_, _, 1) => "an hour".into(),
            (_, _, 24) => "a day".into(),
            _ => format!("{hours} hours"),
        },
        (0, _, 1) => "a day".into(),
        (0, 0, _) => format!("{days} days"),
        (0, 1, _) => "a month".into(),
        (0, 12, _) | (1, 0, 0) => "a year".into(),
        (0, ..) => format!("{months} months"),
        (1, 0, _) => format!("1 year, {}", several(days, "day")),
        (1, 1, _) => "1 year, 1 month".into(),
        (1, 12, _) => "2 years".into(),
        (1, ..) => format!("1 year, {months} months"),
        _ => format!("{} years", rounded((years * 365 + days) as f64 / 365.0)),
    }
}
