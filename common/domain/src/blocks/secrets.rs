//! The secrets of a block: what is shown in their place, and what that means where it is sent back.
//!
//! A schema names its secret fields by paths with dots, in which `*` stands for all that is below. Prefect hides the values
//! of such paths where they are single ones. Here they are hidden as well where they are objects, and in lists.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    json::large_integer,
    model::{
        Object,
        block_document::{MOST_TOLD, Told},
    },
};

/// What is shown in the place of a secret.
pub const OBFUSCATED: &str = "********";

/// Hides what `secret_fields` name of `data`.
pub fn obfuscate<'f>(data: &mut Object, secret_fields: impl IntoIterator<Item = &'f str>) {
    for field in secret_fields {
        // A name may have a dot in it that separates nothing.
        if let Some(value) = data.get_mut(field) {
            hide(value);
        }
        let path: Vec<&str> = field.split('.').collect();
        for value in data.iter_mut().filter_map(|(name, value)| below(name, &path).map(|rest| (value, rest))) {
            hide_at(value.0, value.1);
        }
    }
}

/// Returns what is left of a path in the field `name`: nothing where the path leads elsewhere.
fn below<'p, 's>(name: &str, path: &'p [&'s str]) -> Option<&'p [&'s str]> {
    match path {
        ["*", ..] => Some(path),
        [first, rest @ ..] if *first == name => Some(rest),
        _ => None,
    }
}

fn hide_at(value: &mut Value, path: &[&str]) {
    match (path, value) {
        ([], value) => hide(value),
        (["*", ..], value) => hide_leaves(value),
        (path, Value::Object(fields)) => {
            for (name, value) in fields.iter_mut() {
                if let Some(rest) = below(name, path) {
                    hide_at(value, rest);
                }
            }
        }
        (path, Value::Array(items)) => items.iter_mut().for_each(|item| hide_at(item, path)),
        _ => {}
    }
}

fn hide(value: &mut Value) {
    if !value.is_null() {
        *value = OBFUSCATED.into();
    }
}

/// Hides all values below, nulls included; objects keep their names.
fn hide_leaves(value: &mut Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => fields.iter_mut().for_each(|(_, value)| hide_leaves(value)),
        leaf => *leaf = OBFUSCATED.into(),
    }
}

/// Puts the secrets of `current` back into `sent`, where somebody sends back what was shown in their place.
pub fn restore<'f>(sent: &mut Object, current: &Object, secret_fields: impl IntoIterator<Item = &'f str>) {
    for field in secret_fields {
        if let (Some(value), Some(current)) = (sent.get_mut(field), current.get(field)) {
            put_back(value, current);
        }
        let path: Vec<&str> = field.split('.').collect();
        for (name, value) in sent.iter_mut() {
            if let (Some(rest), Some(current)) = (below(name, &path), current.get(name)) {
                put_back_at(value, current, rest);
            }
        }
    }
}

fn put_back_at(value: &mut Value, current: &Value, path: &[&str]) {
    match (path, value, current) {
        (["*", ..], Value::Object(fields), Value::Object(current)) => {
            for (name, value) in fields.iter_mut() {
                if let Some(current) = current.get(name) {
                    put_back_at(value, current, path);
                }
            }
        }
        (["*", ..], value, current) if value.as_str() == Some(OBFUSCATED) => *value = current.clone(),
        ([], value, current) => put_back(value, current),
        (path, Value::Object(fields), Value::Object(current)) => {
            for (name, value) in fields.iter_mut() {
                if let (Some(rest), Some(current)) = (below(name, path), current.get(name)) {
                    put_back_at(value, current, rest);
                }
            }
        }
        (path, Value::Array(items), Value::Array(current)) => {
            items.iter_mut().zip(current).for_each(|(item, current)| put_back_at(item, current, path));
        }
        _ => {}
    }
}

/// Puts a secret back; a null is shown as it is, so that asterisks in its place are meant.
fn put_back(value: &mut Value, current: &Value) {
    if value.as_str() == Some(OBFUSCATED) && !current.is_null() {
        *value = current.clone();
    }
}

/// Returns what events tell of `data` under a schema that can do `capabilities`, after what they told `before`.
///
/// What any schema of the document called secret is never told of, even if a later one does not.
pub fn told<'f>(
    data: &Object,
    secret_fields: impl IntoIterator<Item = &'f str>,
    capabilities: &[String],
    before: &Told,
) -> Told {
    let secret = secret_fields.into_iter().flat_map(|field| [field, field.split('.').next().unwrap_or(field)]);
    let never: BTreeSet<&str> = secret.chain(before.never.iter().map(String::as_str)).collect();
    let is_text = |value: &Value| value.is_string() && large_integer::digits(value).is_none();
    let is_told = |name: &String, value: &Value| is_text(value) && !never.contains(name.as_str());
    let texts = data.iter().filter(|(name, value)| is_told(name, value) && !never.contains("*"));
    let mut told: Object = texts.map(|(name, value)| (name.clone(), value.clone())).collect();
    let size: usize = told.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum();
    if size > MOST_TOLD {
        told.clear();
    }
    Told { data: told, capabilities: capabilities.to_vec(), never: never.into_iter().map(str::to_owned).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    fn data() -> Object {
        object(json!({
            "x": "secret", "null": null, "whole": {"a": "b"}, "d": {"a": "1", "b": null, "c": {"e": [1]}, "z": {}},
            "l": [{"t": "T", "u": 1}, 5], "m": {"n": "N", "o": "O"}, "with.dot": "D", "plain": "p",
        }))
    }

    const FIELDS: [&str; 9] = ["x", "null", "whole", "d.*", "l.t", "m.n", "with.dot", "absent", "absent.*"];

    #[test]
    fn hides_what_is_secret_and_nothing_else() {
        let mut shown = data();
        obfuscate(&mut shown, FIELDS);
        let o = OBFUSCATED;
        let expected = json!({
            "x": o, "null": null, "whole": o, "d": {"a": o, "b": o, "c": {"e": o}, "z": o},
            "l": [{"t": o, "u": 1}, 5], "m": {"n": o, "o": "O"}, "with.dot": o, "plain": "p",
        });
        assert_eq!(Value::Object(shown), expected);
    }

    #[test]
    fn what_was_shown_and_is_sent_back_changes_nothing() {
        let mut sent = data();
        obfuscate(&mut sent, FIELDS);
        restore(&mut sent, &data(), FIELDS);
        assert_eq!(sent, data());
    }

    #[test]
    fn what_is_sent_anew_is_taken() {
        let o = OBFUSCATED;
        let mut sent = object(json!({
            "x": "new", "d": {"a": o, "new": o, "c": 5}, "plain": o, "l": [{"t": o}, 5, {"t": o}], "m": o, "null": o,
        }));
        restore(&mut sent, &data(), FIELDS);
        let expected = json!({
            "x": "new", "d": {"a": "1", "new": o, "c": 5}, "plain": o, "l": [{"t": "T"}, 5, {"t": o}], "m": o, "null": o,
        });
        assert_eq!(Value::Object(sent), expected);
    }

    #[test]
    fn a_wildcard_at_the_top_hides_everything() {
        let mut shown = data();
        obfuscate(&mut shown, ["*"]);
        assert!(!Value::Object(shown.clone()).to_string().contains("plain\":\"p"));
        restore(&mut shown, &data(), ["*"]);
        assert_eq!(shown, data());
        assert!(told(&data(), ["*"], &[], &Told::default()).data.is_empty());
    }

    #[test]
    fn events_tell_of_texts_that_never_were_secret() {
        let first = told(&data(), FIELDS, &["read".into()], &Told::default());
        assert_eq!(Value::Object(first.data.clone()), json!({"plain": "p"}));
        assert_eq!(first.capabilities, ["read"]);
        let next = told(&data(), [], &[], &first);
        assert_eq!(Value::Object(next.data.clone()), json!({"plain": "p"}));
        let large = object(json!({"plain": "x".repeat(MOST_TOLD + 1), "other": "y"}));
        assert!(told(&large, [], &[], &next).data.is_empty());
    }
}
