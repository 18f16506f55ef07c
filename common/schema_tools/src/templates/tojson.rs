//! The filter `tojson`, which writes JSON as Python does.

use minijinja::{
    Error, ErrorKind, State,
    value::{Kwargs, Value, ValueKind},
};
use serde_json::Value as Json;

use super::{
    in_words_of_python, parts,
    values::{Id, Labels, Model, Moment, Span},
};

/// Writes JSON as Python does, with the names of fields in order and nothing in it that HTML could take for markup.
pub(super) fn to_json(state: &State, value: &Value, indent: Option<Value>, options: &Kwargs) -> Result<String, Error> {
    let indent = indent.or(options.get::<Option<Value>>("indent")?).and_then(|indent| indent.as_usize());
    options.assert_all_used()?;
    // Each level of the lines is that much longer.
    let widest = u64::try_from(indent.unwrap_or_default()).unwrap_or(u64::MAX);
    state.consume_fuel(widest / 8)?;
    parts::pay(state, value)?;
    let json = plain(value)?;
    let mut text = String::new();
    let mut left = state.fuel_levels().map_or(u64::MAX, |(_, left)| left.saturating_mul(64));
    write_json(&mut text, &json, indent, 0, &mut left).map_err(|()| Error::from(ErrorKind::OutOfFuel))?;
    state.consume_fuel(u64::try_from(text.len() / 64).unwrap_or(u64::MAX))?;
    Ok(text)
}

/// Returns a value as JSON, in which records are as their operations answer them.
fn plain(value: &Value) -> Result<Json, Error> {
    let refused = |class: &str| {
        let told = format!("TypeError('Object of type {class} is not JSON serializable')");
        Err(Error::new(ErrorKind::InvalidOperation, in_words_of_python(&told)))
    };
    if let Some(model) = value.downcast_object_ref::<Model>() {
        return Ok(model.json.clone());
    }
    if value.is_undefined() {
        return refused("ChainableUndefined");
    }
    if value.downcast_object_ref::<Moment>().is_some() {
        return refused("DateTime");
    }
    if value.downcast_object_ref::<Span>().is_some() {
        return refused("timedelta");
    }
    if value.downcast_object_ref::<Id>().is_some() {
        return refused("UUID");
    }
    if value.downcast_object_ref::<Labels>().is_some() {
        return refused("LabelDiver");
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            Ok(Json::Array(value.try_iter()?.map(|item| plain(&item)).collect::<Result<_, _>>()?))
        }
        ValueKind::Map => {
            let mut fields = serde_json::Map::new();
            for key in value.try_iter()? {
                fields.insert(key.to_string(), plain(&value.get_item(&key)?)?);
            }
            Ok(Json::Object(fields))
        }
        _ => serde_json::to_value(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string())),
    }
}

fn write_json(text: &mut String, json: &Json, indent: Option<usize>, depth: usize, left: &mut u64) -> Result<(), ()> {
    let line = |text: &mut String, depth: usize, left: &mut u64| {
        let Some(indent) = indent else { return Ok(()) };
        let width = indent.saturating_mul(depth);
        *left = left.checked_sub(u64::try_from(width).unwrap_or(u64::MAX)).ok_or(())?;
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', width));
        Ok(())
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match json {
        Json::Null => text.push_str("null"),
        Json::Bool(true) => text.push_str("true"),
        Json::Bool(false) => text.push_str("false"),
        Json::Number(_) => text.push_str(&domain::python::repr(json)),
        Json::String(string) => write_text(text, string),
        Json::Array(items) if items.is_empty() => text.push_str("[]"),
        Json::Object(fields) if fields.is_empty() => text.push_str("{}"),
        Json::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place > 0 { comma } else { "" });
                line(text, depth + 1, left)?;
                write_json(text, item, indent, depth + 1, left)?;
            }
            line(text, depth, left)?;
            text.push(']');
        }
        Json::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (place, (name, value)) in sorted.into_iter().enumerate() {
                text.push_str(if place > 0 { comma } else { "" });
                line(text, depth + 1, left)?;
                write_text(text, name);
                text.push_str(": ");
                write_json(text, value, indent, depth + 1, left)?;
            }
            line(text, depth, left)?;
            text.push('}');
        }
    }
    Ok(())
}

/// Writes a text in ASCII alone, and without the signs that begin or end anything in HTML.
fn write_text(text: &mut String, string: &str) {
    use std::fmt::Write;
    text.push('"');
    for c in string.chars() {
        let _infallible = match c {
            '"' => text.write_str("\\\""),
            '\\' => text.write_str("\\\\"),
            '\n' => text.write_str("\\n"),
            '\r' => text.write_str("\\r"),
            '\t' => text.write_str("\\t"),
            '\u{8}' => text.write_str("\\b"),
            '\u{c}' => text.write_str("\\f"),
            '<' | '>' | '&' | '\'' => write!(text, "\\u{:04x}", u32::from(c)),
            ' '..='~' => text.write_char(c),
            other => {
                let mut units = [0; 2];
                other.encode_utf16(&mut units).iter().try_for_each(|unit| write!(text, "\\u{unit:04x}"))
            }
        };
    }
    text.push('"');
}
