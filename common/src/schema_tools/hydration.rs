//! Placeholders: objects with a `__prefect_kind` that stand for a value to be worked out.

use serde_json::{Map, Value};

use super::templates;
use crate::{contract::json::loads, model::Object};

/// The key that makes an object a placeholder.
const KIND: &str = "__prefect_kind";

/// Why a placeholder could not be filled in; written in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HydrationError {
    /// It lacks what it is to be made of.
    #[error("Missing '{0}' key in __prefect object")]
    MissingKey(&'static str),
    /// Its value is not the JSON that it is said to be.
    #[error("Invalid JSON: {0}")]
    InvalidJson(String),
    /// Its template can't be rendered.
    #[error("Invalid jinja: {0}")]
    InvalidJinja(String),
    /// There is no such variable.
    #[error("Variable '{0}' not found in workspace.")]
    VariableNotFound(String),
}

/// Fills in the placeholders of `input`, with the workspace's `variables` by their names.
///
/// # Errors
/// The first placeholder's that can't be filled in.
pub fn hydrate(input: &Object, variables: &Object) -> Result<Value, HydrationError> {
    let hydrated = object(input, variables)?;
    Ok(hydrated.unwrap_or_else(|| Value::Object(Map::new())))
}

/// Returns the value, or nothing where it is to be taken out of what is around it.
fn hydrated(value: &Value, variables: &Object) -> Result<Option<Value>, HydrationError> {
    match value {
        Value::Object(fields) => object(fields, variables),
        Value::Array(items) => {
            let items = items.iter().filter_map(|item| hydrated(item, variables).transpose());
            Ok(Some(Value::Array(items.collect::<Result<_, _>>()?)))
        }
        other => Ok(Some(other.clone())),
    }
}

fn object(fields: &Object, variables: &Object) -> Result<Option<Value>, HydrationError> {
    let Some(kind) = fields.get(KIND) else {
        let mut hydrated_fields = Map::new();
        for (key, value) in fields {
            if let Some(value) = hydrated(value, variables)? {
                hydrated_fields.insert(key.clone(), value);
            }
        }
        return Ok(Some(Value::Object(hydrated_fields)));
    };
    match kind.as_str() {
        Some("none") => match fields.get("value") {
            Some(value) => hydrated(value, variables),
            None => Err(HydrationError::MissingKey("value")),
        },
        Some("json") => match source(fields, "value", variables)? {
            Some(Value::String(text)) => loads(&text).map(Some).map_err(HydrationError::InvalidJson),
            other => Ok(other),
        },
        Some("jinja") if !fields.contains_key("template") => Err(HydrationError::MissingKey("template")),
        Some("jinja") => match source(fields, "template", variables)? {
            Some(Value::String(template)) => {
                let rendered = templates::render(&template).map_err(HydrationError::InvalidJinja)?;
                Ok(Some(Value::String(rendered)))
            }
            Some(_) => Err(HydrationError::InvalidJinja("a template is a text".into())),
            None => Ok(None),
        },
        Some("workspace_variable") => match source(fields, "variable_name", variables)? {
            Some(name) => {
                let name = name.as_str().map_or_else(|| name.to_string(), ToOwned::to_owned);
                let value = variables.get(&name).cloned();
                value.map(Some).ok_or(HydrationError::VariableNotFound(name))
            }
            None => Ok(None),
        },
        _ => Ok(Some(fields.get("value").cloned().unwrap_or_default())),
    }
}

/// Returns what a placeholder is made of, which may be a placeholder itself.
fn source(fields: &Object, key: &str, variables: &Object) -> Result<Option<Value>, HydrationError> {
    match fields.get(key) {
        Some(Value::Object(inner)) => object(inner, variables),
        other => Ok(other.cloned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hydrated(input: &Value) -> Result<Value, String> {
        let variables = json!({"v": [1]});
        hydrate(input.as_object().unwrap(), variables.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn fills_in_each_kind_as_the_real_server_does() {
        let json = |value: Value| json!({"__prefect_kind": "json", "value": value});
        let table = [
            (json!({"a": {"b": [1, null]}}), json!({"a": {"b": [1, null]}})),
            (json!({"a": json(json!("{\"b\": 1}"))}), json!({"a": {"b": 1}})),
            (json!({"a": json(json!(5))}), json!({"a": 5})),
            (json!({"a": json(json(json!("\"[1]\"")))}), json!({"a": [1]})),
            (json!({"a": {"__prefect_kind": "json"}, "b": 1}), json!({"b": 1})),
            (json!({"a": [{"__prefect_kind": "json"}]}), json!({"a": []})),
            (json!({"__prefect_kind": "json", "value": "[1]"}), json!([1])),
            (json!({"__prefect_kind": "json"}), json!({})),
            (json!({"a": {"__prefect_kind": "none", "value": [{"__prefect_kind": "json"}]}}), json!({"a": []})),
            (json!({"a": {"__prefect_kind": "other", "value": 3}}), json!({"a": 3})),
            (json!({"a": {"__prefect_kind": null}}), json!({"a": null})),
            (json!({"a": {"__prefect_kind": "jinja", "template": "{{ 1+1 }} {{ x }}"}}), json!({"a": "2 "})),
            (json!({"a": {"__prefect_kind": "workspace_variable", "variable_name": "v"}}), json!({"a": [1]})),
            (json!({"a": {"__prefect_kind": "workspace_variable"}}), json!({})),
        ];
        for (input, expected) in table {
            assert_eq!(hydrated(&input), Ok(expected), "{input}");
        }
    }

    #[test]
    fn says_what_is_wrong_in_the_real_server_s_words() {
        let table = [
            (
                json!({"a": {"__prefect_kind": "json", "value": "{"}}),
                "Invalid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            ),
            (json!({"a": {"__prefect_kind": "jinja"}}), "Missing 'template' key in __prefect object"),
            (json!({"a": {"__prefect_kind": "none"}}), "Missing 'value' key in __prefect object"),
            (
                json!({"a": {"__prefect_kind": "workspace_variable", "variable_name": "w"}}),
                "Variable 'w' not found in workspace.",
            ),
        ];
        for (input, expected) in table {
            assert_eq!(hydrated(&input), Err(expected.to_owned()), "{input}");
        }
    }
}
