//! pydantic's lax conversions of single values.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use serde_json::{Number, Value};
use speedate::{Duration, MicrosecondsPrecisionOverflowBehavior, TimeConfigBuilder};
use strum::EnumMessage;
use uuid::Uuid;

use super::{
    fault::Complaint,
    pendulum::{self, Refusal},
};
use domain::{json::large_integer, model::Timestamp};

/// The longest text of an integer that Python converts.
const LONGEST_INTEGER: usize = 4300;

/// How well a value suited its type without conversion, the measure by which pydantic picks a union's member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// The value was converted.
    Lax,
    /// The value was accepted as a subtype, such as an integer where a number is wanted.
    Strict,
    /// The value has the type itself.
    Exact,
}

type Converted = Result<(Value, Fit), Complaint>;

pub(super) fn boolean(input: &Value, strict: bool) -> Converted {
    let unclear = || Complaint::new("bool_parsing", "Input should be a valid boolean, unable to interpret input");
    let wrong = || Complaint::new("bool_type", "Input should be a valid boolean");
    match input {
        Value::Bool(value) => Ok(((*value).into(), Fit::Exact)),
        _ if strict => Err(wrong()),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "on" | "t" | "true" | "y" | "yes" => Ok((true.into(), Fit::Lax)),
            "0" | "off" | "f" | "false" | "n" | "no" => Ok((false.into(), Fit::Lax)),
            _ => Err(unclear()),
        },
        Value::Number(number) => match number.as_i64().or_else(|| number.as_f64().and_then(whole)) {
            Some(0) => Ok((false.into(), Fit::Lax)),
            Some(1) => Ok((true.into(), Fit::Lax)),
            Some(_) => Err(unclear()),
            None if number.is_u64() => Err(unclear()),
            None => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

pub(super) fn integer(input: &Value, strict: bool) -> Converted {
    let wrong = || Complaint::new("int_type", "Input should be a valid integer");
    let unparsable =
        || Complaint::new("int_parsing", "Input should be a valid integer, unable to parse string as an integer");
    let too_long =
        || Complaint::new("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size");
    match input {
        Value::Number(number) if number.is_i64() => Ok((number.clone().into(), Fit::Exact)),
        Value::Number(number) if number.is_u64() => Err(too_long()),
        _ if strict => Err(wrong()),
        Value::Bool(value) => Ok((i64::from(*value).into(), Fit::Lax)),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::INFINITY);
            if number.fract() != 0.0 {
                let msg = "Input should be a valid integer, got a number with a fractional part";
                return Err(Complaint::new("int_from_float", msg));
            }
            whole(number).map(|number| (number.into(), Fit::Lax)).ok_or_else(too_long)
        }
        Value::String(text) if text.len() > LONGEST_INTEGER => Err(too_long()),
        Value::String(text) => {
            let digits = clean_integer(text).ok_or_else(unparsable)?;
            digits.parse::<i64>().map(|number| (number.into(), Fit::Lax)).map_err(|_| too_long())
        }
        _ => Err(wrong()),
    }
}

/// Reads an integer as Python's `int` does.
pub(super) fn python_integer(text: &str) -> Option<i64> {
    clean_integer(text).filter(|_| !text.contains('.'))?.parse().ok()
}

/// Returns the sign of an integer that 64 bits can't hold; Python, which has no bound, accepts it.
///
/// A float of that size is taken for such an integer, as Python's is when it is converted.
pub(super) fn beyond_64_bits(input: &Value) -> Option<f64> {
    let nearest = large_integer::nearest(input);
    let number = match nearest.as_ref().unwrap_or(input) {
        Value::Number(number) if number.is_i64() => return None,
        Value::Number(number) => number.as_f64()?,
        Value::String(text) if text.len() <= LONGEST_INTEGER => clean_integer(text)?.parse().ok()?,
        _ => return None,
    };
    (number.fract() == 0.0 && whole(number).is_none()).then(|| number.signum())
}

/// Strips what pydantic allows around the digits: spaces, a plus, single underscores, a fraction of zeros.
fn clean_integer(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let text = match text.split_once('.') {
        Some((digits, zeros)) if !digits.is_empty() && !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => digits,
        Some(_) => return None,
        None => text,
    };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        return None;
    }
    without_underscores(text.strip_prefix('+').unwrap_or(text))
}

/// Removes underscores that stand alone between other characters.
fn without_underscores(text: &str) -> Option<Cow<'_, str>> {
    let digits = text.trim_start_matches('-');
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    Some(Cow::Owned(text.replace('_', "")))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the range is checked")]
fn whole(number: f64) -> Option<i64> {
    let fits = number.fract() == 0.0 && number >= i64::MIN as f64 && number < i64::MAX as f64;
    fits.then_some(number as i64)
}

pub(super) fn float(input: &Value, strict: bool) -> Converted {
    let wrong = || Complaint::new("float_type", "Input should be a valid number");
    let unparsable =
        || Complaint::new("float_parsing", "Input should be a valid number, unable to parse string as a number");
    match input {
        Value::Number(number) => {
            let fit = if number.is_f64() { Fit::Exact } else { Fit::Strict };
            let number = number.as_f64().and_then(Number::from_f64).ok_or_else(wrong)?;
            Ok((number.into(), fit))
        }
        _ if strict => Err(wrong()),
        Value::Bool(value) => Ok((f64::from(u8::from(*value)).into(), Fit::Lax)),
        Value::String(text) => {
            let digits = without_underscores(text.trim()).ok_or_else(unparsable)?;
            let number: f64 = digits.parse().map_err(|_| unparsable())?;
            // JSON can't hold the infinities that Python reads here.
            Number::from_f64(number).map(|number| (number.into(), Fit::Lax)).ok_or_else(unparsable)
        }
        _ => Err(wrong()),
    }
}

pub(super) fn uuid(input: &Value) -> Converted {
    let Value::String(text) = input else {
        return Err(Complaint::new("uuid_type", "UUID input should be a string, bytes or UUID object"));
    };
    match Uuid::parse_str(text) {
        // Unlike pydantic, the library takes the prefix in upper case too.
        Ok(_) if text.starts_with('U') => Err(not_a_uuid("invalid character: found `U` at 0")),
        Ok(id) => Ok((id.to_string().into(), Fit::Lax)),
        Err(error) => Err(not_a_uuid(&error.to_string())),
    }
}

fn not_a_uuid(error: &str) -> Complaint {
    Complaint::new("uuid_parsing", format!("Input should be a valid UUID, {error}")).with("error", error)
}

/// Reads a point in time as pydantic's own `datetime` does.
pub(super) fn datetime(input: &Value) -> Converted {
    let parsed = match input {
        Value::String(text) => {
            parse_datetime(text).map_err(|error| ("datetime_from_date_parsing", "datetime or date", error))
        }
        Value::Number(number) => number
            .as_i64()
            .map_or_else(
                || speedate::DateTime::from_float_with_config(number.as_f64().unwrap_or(f64::INFINITY), &config()),
                |seconds| speedate::DateTime::from_timestamp_with_config(seconds, 0, &config()),
            )
            .map_err(|error| ("datetime_parsing", "datetime", error)),
        _ => return Err(Complaint::new("datetime_type", "Input should be a valid datetime")),
    };
    let zero = || {
        let error = "year 0 is out of range";
        Complaint::new("datetime_parsing", format!("Input should be a valid datetime, {error}")).with("error", error)
    };
    let time = parsed.map_err(|(kind, wanted, error)| {
        let error = words(&error);
        Complaint::new(kind, format!("Input should be a valid {wanted}, {error}")).with("error", error)
    })?;
    in_utc(&time).map(|time| (text_of(time), Fit::Lax)).ok_or_else(zero)
}

/// Reads a point in time as Prefect's `DateTime` does: pydantic's reader, then pendulum's for what that one refuses.
pub(super) fn lenient_datetime(input: &Value) -> Converted {
    if let Ok(converted) = datetime(input) {
        return Ok(converted);
    }
    match input {
        Value::String(text) => match pendulum::parse(text, Utc::now()) {
            Ok(time) => Ok((text_of(time), Fit::Lax)),
            Err(Refusal::ValueError(error)) => Err(Complaint::value_error(&error)),
            Err(Refusal::Other) => Err(no_datetime()),
        },
        _ => Err(no_datetime()),
    }
}

/// Returns the sentence that explains an error of the library that pydantic reads times with.
fn words(error: &speedate::ParseError) -> &'static str {
    error.get_documentation().unwrap_or_default()
}

fn no_datetime() -> Complaint {
    Complaint::new("value_error", "value is not a valid datetime")
}

fn text_of(time: DateTime<Utc>) -> Value {
    Timestamp::new(time).to_string().into()
}

/// Fractions beyond microseconds are cut, and a number is seconds (or milliseconds, when it is large) in UTC.
fn config() -> speedate::DateTimeConfig {
    let truncate = MicrosecondsPrecisionOverflowBehavior::Truncate;
    let time =
        TimeConfigBuilder::new().microseconds_precision_overflow_behavior(truncate).unix_timestamp_offset(Some(0));
    speedate::DateTimeConfigBuilder::new().time_config(time.build()).build()
}

fn parse_datetime(text: &str) -> Result<speedate::DateTime, speedate::ParseError> {
    let midnight = || speedate::Time { hour: 0, minute: 0, second: 0, microsecond: 0, tz_offset: None };
    speedate::DateTime::parse_bytes_with_config(text.as_bytes(), &config()).or_else(|_| {
        // A date alone is midnight; where it isn't one either, the error of reading a date is the one that is told.
        speedate::Date::parse_bytes(text.as_bytes()).map(|date| speedate::DateTime { date, time: midnight() })
    })
}

fn in_utc(time: &speedate::DateTime) -> Option<DateTime<Utc>> {
    let (date, clock) = (&time.date, &time.time);
    if date.year == 0 {
        return None;
    }
    let day = NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())?;
    let naive =
        day.and_hms_micro_opt(clock.hour.into(), clock.minute.into(), clock.second.into(), clock.microsecond)?;
    let offset = TimeDelta::seconds(clock.tz_offset.unwrap_or_default().into());
    naive.and_utc().checked_sub_signed(offset).filter(in_calendar)
}

/// Tells whether Python's calendar, of the years 1 to 9999, holds a time.
pub(super) fn in_calendar(time: &DateTime<Utc>) -> bool {
    (1..=9999).contains(&time.year())
}

/// Reads a length of time, from a number of seconds or an ISO 8601 duration, as a number of seconds.
pub(super) fn duration(input: &Value) -> Converted {
    let refused = |error: speedate::ParseError| {
        let error = words(&error);
        Complaint::new("time_delta_parsing", format!("Input should be a valid timedelta, {error}")).with("error", error)
    };
    let parsed = match input {
        Value::String(text) => {
            let config = TimeConfigBuilder::new()
                .microseconds_precision_overflow_behavior(MicrosecondsPrecisionOverflowBehavior::Truncate)
                .build();
            Duration::parse_bytes_with_config(text.as_bytes(), &config)
        }
        Value::Bool(value) => Ok(seconds_of(f64::from(u8::from(*value)))),
        Value::Number(number) => {
            let seconds = number.as_f64().unwrap_or(f64::INFINITY);
            if seconds.abs() >= 86_400_000_000_000.0 {
                Err(speedate::ParseError::DurationDaysTooLarge)
            } else {
                Ok(seconds_of(seconds))
            }
        }
        _ => return Err(Complaint::new("time_delta_type", "Input should be a valid timedelta")),
    };
    let duration = parsed.map_err(refused)?;
    let sign = if duration.positive { 1.0 } else { -1.0 };
    let seconds = f64::from(duration.day) * 86_400.0 + f64::from(duration.second);
    Ok(((sign * (seconds + f64::from(duration.microsecond) / 1_000_000.0)).into(), Fit::Lax))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the caller has checked the range")]
fn seconds_of(seconds: f64) -> Duration {
    let length = seconds.abs();
    Duration {
        positive: seconds >= 0.0,
        day: (length / 86_400.0) as u32,
        second: (length % 86_400.0) as u32,
        microsecond: (length.fract() * 1_000_000.0).round().min(999_999.0) as u32,
    }
}
