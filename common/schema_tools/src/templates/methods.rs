//! The methods of Python's texts, objects and lists that templates call.

use minijinja::{
    Error, ErrorKind, State,
    value::{Value, ValueKind},
};

use super::parts;

/// Calls a method that the engine does not know.
pub(super) fn call(state: &mut State, value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    parts::pay(state, value)?;
    for argument in arguments {
        parts::pay(state, argument)?;
    }
    if let Some(text) = value.as_str() {
        return of_text(state, text, method, arguments);
    }
    match value.kind() {
        ValueKind::Map => of_object(value, method, arguments),
        ValueKind::Seq => of_list(value, method, arguments),
        _ => Err(unknown()),
    }
}

fn unknown() -> Error {
    Error::from(ErrorKind::UnknownMethod)
}

fn of_text(state: &mut State, text: &str, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let argument = |place: usize| arguments.get(place).and_then(Value::as_str);
    let is_in = |set: &str| {
        let set: Vec<char> = set.chars().collect();
        move |c: char| set.contains(&c)
    };
    Ok(match (method, arguments.len(), argument(0)) {
        ("upper", 0, _) => text.to_uppercase().into(),
        ("lower", 0, _) => text.to_lowercase().into(),
        ("capitalize" | "title", 0, _) => state.apply_filter(method, &[Value::from(text)])?,
        ("strip", 0, _) => text.trim().into(),
        ("lstrip", 0, _) => text.trim_start().into(),
        ("rstrip", 0, _) => text.trim_end().into(),
        ("strip", 1, Some(set)) => text.trim_matches(is_in(set)).into(),
        ("lstrip", 1, Some(set)) => text.trim_start_matches(is_in(set)).into(),
        ("rstrip", 1, Some(set)) => text.trim_end_matches(is_in(set)).into(),
        ("startswith", 1, Some(start)) => text.starts_with(start).into(),
        ("endswith", 1, Some(end)) => text.ends_with(end).into(),
        ("removeprefix", 1, Some(start)) => text.strip_prefix(start).unwrap_or(text).into(),
        ("removesuffix", 1, Some(end)) => text.strip_suffix(end).unwrap_or(text).into(),
        ("split", 0, _) => text.split_whitespace().map(Value::from).collect::<Vec<_>>().into(),
        ("split", 1, Some(separator)) if !separator.is_empty() => {
            text.split(separator).map(Value::from).collect::<Vec<_>>().into()
        }
        ("split", 2, Some(separator)) if !separator.is_empty() => {
            let most = arguments.get(1).and_then(Value::as_usize).map_or(usize::MAX, |most| most.saturating_add(1));
            text.splitn(most, separator).map(Value::from).collect::<Vec<_>>().into()
        }
        ("rsplit", 2, Some(separator)) if !separator.is_empty() => {
            let most = arguments.get(1).and_then(Value::as_usize).map_or(usize::MAX, |most| most.saturating_add(1));
            let mut parts: Vec<Value> = text.rsplitn(most, separator).map(Value::from).collect();
            parts.reverse();
            parts.into()
        }
        ("splitlines", 0, _) => text.lines().map(Value::from).collect::<Vec<_>>().into(),
        ("find", 1, Some(part)) => {
            text.find(part).map_or(Value::from(-1), |at| Value::from(text[..at].chars().count()))
        }
        ("count", 1, Some(part)) if !part.is_empty() => text.matches(part).count().into(),
        ("isdigit", 0, _) => (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).into(),
        ("replace", 2, Some(from)) => {
            let to = argument(1).ok_or_else(unknown)?;
            let size = text.matches(from).count().saturating_mul(to.len()).saturating_add(text.len());
            state.consume_fuel(u64::try_from(size / 64).unwrap_or(u64::MAX))?;
            text.replace(from, to).into()
        }
        ("join", 1, _) => {
            let list = arguments.first().cloned().unwrap_or_default();
            let length = list.len().unwrap_or_default().saturating_mul(text.len());
            state.consume_fuel(u64::try_from(length / 64).unwrap_or(u64::MAX))?;
            let items: Vec<String> = list.try_iter()?.map(|item| item.to_string()).collect();
            items.join(text).into()
        }
        _ => return Err(unknown()),
    })
}

fn of_object(value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let item = |key: &Value| value.get_item(key).unwrap_or_default();
    Ok(match (method, arguments) {
        ("keys", []) => value.try_iter()?.collect::<Vec<_>>().into(),
        ("values", []) => value.try_iter()?.map(|key| item(&key)).collect::<Vec<_>>().into(),
        ("items", []) => {
            let pairs = value.try_iter()?.map(|key| Value::from(vec![key.clone(), item(&key)]));
            pairs.collect::<Vec<_>>().into()
        }
        ("get", [key]) => Some(item(key)).filter(|found| !found.is_undefined()).unwrap_or(Value::from(())),
        ("get", [key, default]) => Some(item(key)).filter(|found| !found.is_undefined()).unwrap_or(default.clone()),
        _ => return Err(unknown()),
    })
}

fn of_list(value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    Ok(match (method, arguments) {
        ("count", [item]) => value.try_iter()?.filter(|other| other == item).count().into(),
        ("index", [item]) => {
            let place = value.try_iter()?.position(|other| &other == item);
            place.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the item is not in the list"))?.into()
        }
        _ => return Err(unknown()),
    })
}
