//! Values as Python's `repr` writes them, which is how Prefect's messages show them.

use std::fmt::Write;

use serde_json::Value;

use crate::{filter::python_json, json::large_integer};

/// Returns `value` as `repr` writes it.
pub fn repr(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

/// Returns `string` as `repr` writes it: in single quotes, unless it has some and no double ones.
pub fn repr_str(string: &str) -> String {
    let mut text = String::with_capacity(string.len() + 2);
    write_string(&mut text, string);
    text
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("None"),
        Value::Bool(true) => text.push_str("True"),
        Value::Bool(false) => text.push_str("False"),
        Value::Number(number) => python_json::write_number(text, number),
        Value::String(string) => match large_integer::in_text(string) {
            Some(digits) => text.push_str(digits),
            None => write_string(text, large_integer::sent(string)),
        },
        Value::Array(items) => python_json::write_list(text, items, write_value),
        Value::Object(fields) => {
            text.push('{');
            for (position, (key, value)) in fields.iter().enumerate() {
                if position > 0 {
                    text.push_str(", ");
                }
                write_string(text, key);
                text.push_str(": ");
                write_value(text, value);
            }
            text.push('}');
        }
    }
}

fn write_string(text: &mut String, string: &str) {
    let quote = if string.contains('\'') && !string.contains('"') { '"' } else { '\'' };
    text.push(quote);
    for c in string.chars() {
        let _infallible = match c {
            '\n' => text.write_str("\\n"),
            '\r' => text.write_str("\\r"),
            '\t' => text.write_str("\\t"),
            '\\' => text.write_str("\\\\"),
            c if c == quote => write!(text, "\\{c}"),
            '\0'..=' ' | '\u{7f}'..='\u{a0}' | '\u{ad}' if c != ' ' => write!(text, "\\x{:02x}", u32::from(c)),
            c => text.write_char(c),
        };
    }
    text.push(quote);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::parse;

    #[test]
    fn writes_what_python_writes() {
        let table = [
            (json!([1.0, true, null, "it's", {"a": "b"}]), r#"[1.0, True, None, "it's", {'a': 'b'}]"#),
            (json!("it's \"so\""), r#"'it\'s "so"'"#),
            (json!("ü\n\\\u{1}\u{a0} "), r"'ü\n\\\x01\xa0 '"),
            (json!({}), "{}"),
            (parse(b"[18446744073709551616]").unwrap(), "[18446744073709551616]"),
            (json!(1e-7), "1e-07"),
        ];
        for (value, expected) in table {
            assert_eq!(repr(&value), expected);
        }
    }
}
