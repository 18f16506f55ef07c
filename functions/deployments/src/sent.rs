//! What a request sends for a deployment's fields.

use common::model::Object;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// Takes over what was sent.
pub(crate) fn set<T: Clone>(field: &mut T, sent: Option<&T>) {
    if let Some(value) = sent {
        field.clone_from(value);
    }
}

/// Reads a schema of parameters that was sent, null or not; an empty one is that of no parameters.
pub(crate) fn parameter_schema<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<Object>>, D::Error> {
    let sent = Option::<Object>::deserialize(field)?;
    Ok(Some(sent.map(|schema| match json!({"type": "object", "properties": {}}) {
        Value::Object(of_nothing) if schema.is_empty() => of_nothing,
        _ => schema,
    })))
}
