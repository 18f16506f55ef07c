//! Integers beyond 64 bits with a sign, whose digits are kept.
//!
//! `serde_json`'s numbers end at 64 bits, and its `arbitrary_precision` keeps untagged and flattened types from reading
//! floats. So a larger integer is a string with a mark before its digits, from the time it is read until it is written
//! again. A string that begins with the mark itself has it doubled, so that no text is ever taken for a number.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// What stands before the digits: a code point that is no character, and that no text has for what it says.
pub const MARK: char = '\u{FDD0}';

/// How many digits Python converts at most.
pub const MOST_DIGITS: usize = 4_300;

/// Returns an integer of these digits, with or without a minus.
pub(super) fn of(digits: &str) -> Value {
    Value::String(format!("{MARK}{digits}"))
}

/// Returns a text that was read as it is held.
pub(super) fn held(text: String) -> String {
    if text.starts_with(MARK) { format!("{MARK}{text}") } else { text }
}

/// Returns the digits of a string that stands for a large integer, with or without a minus.
pub fn in_text(text: &str) -> Option<&str> {
    let integer = text.strip_prefix(MARK)?;
    let digits = integer.strip_prefix('-').unwrap_or(integer);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(integer)
}

/// Returns the digits of a value that stands for a large integer, with or without a minus.
pub fn digits(value: &Value) -> Option<&str> {
    value.as_str().and_then(in_text)
}

/// Returns the text that was sent, of a string that is none of a large integer.
pub(crate) fn sent(text: &str) -> &str {
    match text.strip_prefix(MARK) {
        Some(sent) if sent.starts_with(MARK) => sent,
        _ => text,
    }
}

/// Returns the float that is the nearest to a large integer, or the largest of its sign; `None` for any other value.
pub fn nearest(value: &Value) -> Option<Value> {
    let number: f64 = digits(value)?.parse().ok()?;
    Number::from_f64(number.clamp(f64::MIN, f64::MAX)).map(Value::Number)
}

/// Returns the value with a float in place of each large integer, for those who know only numbers of 64 bits.
pub fn with_nearest(value: &Value) -> Cow<'_, Value> {
    if has_any(value) { Cow::Owned(replaced(value)) } else { Cow::Borrowed(value) }
}

fn has_any(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_any),
        Value::Object(fields) => fields.values().any(has_any),
        scalar => digits(scalar).is_some(),
    }
}

fn replaced(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(replaced).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), replaced(field))).collect(),
        scalar => nearest(scalar).unwrap_or_else(|| scalar.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stands_for_a_number_and_for_no_text() {
        assert_eq!(digits(&of("-18446744073709551616")), Some("-18446744073709551616"));
        for text in ["", "5", "\u{FDD0}", "\u{FDD0}-", "\u{FDD0}5x", "\u{FDD0}--5", "\u{FDD0}\u{FDD0}5"] {
            assert_eq!(in_text(text), None, "{text:?}");
        }
        for text in ["5", "\u{FDD0}5", "\u{FDD0}\u{FDD0}5", "\u{FDD0}"] {
            let held = held(text.to_owned());
            assert_eq!((in_text(&held), sent(&held)), (None, text), "{text:?}");
        }
    }

    #[test]
    fn is_nearly_a_float() {
        let value = json!({ "a": [of("100000000000000000000"), 1, "x"] });
        assert_eq!(*with_nearest(&value), json!({ "a": [1e20, 1, "x"] }));
        assert_eq!(nearest(&of(&"9".repeat(400))), Some(json!(f64::MAX)));
        assert_eq!(nearest(&json!(1)), None);
    }
}
