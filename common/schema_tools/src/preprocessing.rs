//! Schemas that older versions of pydantic wrote, turned into what draft 2020-12 means by them.

use serde_json::{Map, Value, json};

/// Which of the fields that are not required may be null, whatever their schema says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nullable {
    /// Those without a default.
    WithoutDefault,
    /// All of them.
    All,
}

/// Returns `schema` as values are held against it.
///
/// The `nullable` fields may be null, a list of item schemas is one for each item, and a block may be given by a
/// reference to it.
pub(super) fn preprocess(schema: &Map<String, Value>, nullable: Nullable) -> Map<String, Value> {
    let mut schema = schema.clone();
    process_properties_of(&mut schema, nullable);
    if let Some(Value::Object(definitions)) = schema.get_mut("definitions") {
        let names: Vec<String> = definitions.keys().cloned().collect();
        for name in names {
            let Some(Value::Object(definition)) = definitions.get_mut(&name) else { continue };
            process_properties_of(definition, nullable);
            if definition.contains_key("block_type_slug")
                && let Some(Value::String(title)) = definition.get("title").cloned()
            {
                let alternatives = json!({"oneOf": [definition, reference_to_a_block()]});
                definitions.insert(title, alternatives);
            }
        }
    }
    schema
}

fn reference_to_a_block() -> Value {
    json!({
        "type": "object",
        "properties": {"$ref": {"oneOf": [
            {"type": "string", "format": "uuid"},
            {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
        ]}},
        "required": ["$ref"],
    })
}

fn process_properties_of(schema: &mut Map<String, Value>, nullable: Nullable) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (name, property) in properties {
        let Value::Object(property) = property else { continue };
        let is_required = required.as_array().is_some_and(|names| names.iter().any(|other| other == name));
        if !is_required && (nullable == Nullable::All || !property.contains_key("default")) {
            allow_null(property);
        }
        let is_tuple = property.get("items").and_then(Value::as_array).is_some_and(|items| !items.is_empty());
        let has_prefix = property.get("prefixItems").and_then(Value::as_array).is_some_and(|items| !items.is_empty());
        if is_tuple
            && !has_prefix
            && let Some(items) = property.shift_remove("items")
        {
            property.insert("prefixItems".into(), items);
        }
        process_properties_of(property, nullable);
    }
}

fn allow_null(property: &mut Map<String, Value>) {
    if property.get("type").is_some_and(|r#type| r#type != "null")
        && let Some(r#type) = property.shift_remove("type")
    {
        property.insert("anyOf".into(), json!([{"type": r#type}, {"type": "null"}]));
    }
}

/// Returns `schema` in which nothing is required, at any depth.
pub(super) fn without_required(schema: Map<String, Value>) -> Map<String, Value> {
    let strip = |value| match value {
        Value::Object(fields) => Value::Object(without_required(fields)),
        other => other,
    };
    let kept = schema.into_iter().filter(|(name, _)| name != "required");
    kept.map(|(name, value)| (name, strip(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_older_schemas() {
        let schema = json!({
            "properties": {
                "required": {"type": "string"},
                "defaulted": {"type": "string", "default": "x"},
                "optional": {"type": "string", "title": "O"},
                "pair": {"type": "array", "default": [], "items": [{"type": "string"}]},
                "inner": {"type": "object", "default": {}, "properties": {"x": {"type": "number"}}},
            },
            "required": ["required"],
            "definitions": {"block": {"title": "Block", "block_type_slug": "block", "type": "object"}},
        });
        let processed = Value::Object(preprocess(schema.as_object().unwrap(), Nullable::WithoutDefault));
        let properties = &processed["properties"];
        assert_eq!(properties["required"], schema["properties"]["required"]);
        assert_eq!(properties["defaulted"], schema["properties"]["defaulted"]);
        let lenient = preprocess(schema.as_object().unwrap(), Nullable::All);
        let expected = json!({"default": "x", "anyOf": [{"type": "string"}, {"type": "null"}]});
        assert_eq!(lenient["properties"]["defaulted"], expected);
        assert_eq!(properties["optional"], json!({"title": "O", "anyOf": [{"type": "string"}, {"type": "null"}]}));
        assert_eq!(properties["pair"]["prefixItems"], json!([{"type": "string"}]));
        assert_eq!(properties["inner"]["properties"]["x"], json!({"anyOf": [{"type": "number"}, {"type": "null"}]}));
        assert_eq!(processed["definitions"]["Block"]["oneOf"][0], schema["definitions"]["block"]);
    }
}
