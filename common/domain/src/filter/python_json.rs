//! JSON text as Python's `json.dumps` writes it, which is the text that the real server's search of events runs on.
//!
//! It separates with `, ` and `: `, escapes everything beyond printable ASCII, and writes floats as `repr` does.

use std::fmt::Write;

use serde_json::{Number, Value};

use crate::json::large_integer;

/// Appends `value` to `text`.
pub fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => write_number(text, number),
        Value::String(string) => match large_integer::in_text(string) {
            Some(digits) => text.push_str(digits),
            None => write_string(text, large_integer::sent(string)),
        },
        Value::Array(items) => write_list(text, items, write_value),
        Value::Object(fields) => write_object(text, fields, write_value),
    }
}

/// Appends a list of `items`, each written by `write`.
pub fn write_list<T>(text: &mut String, items: &[T], write: impl Fn(&mut String, &T)) {
    text.push('[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            text.push_str(", ");
        }
        write(text, item);
    }
    text.push(']');
}

/// Appends an object of `fields`, each value written by `write`.
pub fn write_object<'a, T: 'a>(
    text: &mut String,
    fields: impl IntoIterator<Item = (&'a String, &'a T)>,
    write: impl Fn(&mut String, &T),
) {
    text.push('{');
    for (position, (key, value)) in fields.into_iter().enumerate() {
        if position > 0 {
            text.push_str(", ");
        }
        write_string(text, key);
        text.push_str(": ");
        write(text, value);
    }
    text.push('}');
}

/// Appends `string`, quoted and escaped.
pub fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            ' '..='~' => text.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _infallible = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text.push('"');
}

/// Appends `number`, a float as `repr` writes it.
pub fn write_number(text: &mut String, number: &Number) {
    let _infallible = match number.as_f64().filter(|_| number.is_f64()) {
        None => write!(text, "{number}"),
        Some(float) if float == 0.0 || (1e-4..1e16).contains(&float.abs()) => write!(text, "{float:?}"),
        Some(float) => {
            let scientific = format!("{float:e}");
            let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |magnitude| ('-', magnitude));
            write!(text, "{digits}e{sign}{exponent:0>2}")
        }
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_what_python_writes() {
        let table = [
            (json!({"a": [1, true, null], "b": {}}), r#"{"a": [1, true, null], "b": {}}"#),
            (json!([]), "[]"),
            (json!("é\u{7f}😀\"\\\n\u{1}/"), r#""\u00e9\u007f\ud83d\ude00\"\\\n\u0001/""#),
            (json!(1.0), "1.0"),
            (json!(-0.0), "-0.0"),
            (json!(0.1), "0.1"),
            (json!(0.0001), "0.0001"),
            (json!(0.000_012_5), "1.25e-05"),
            (json!(1e15), "1000000000000000.0"),
            (json!(1e16), "1e+16"),
            (json!(1.5e300), "1.5e+300"),
            (json!(-1e-10), "-1e-10"),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
        ];
        for (value, expected) in table {
            let mut text = String::new();
            write_value(&mut text, &value);
            assert_eq!(text, expected);
        }
    }
}
