//! The checksum of a block schema's fields, which the client computes as well, to find the schema by it.
//!
//! As Prefect's `Block._calculate_schema_checksum`: SHA-256 of the fields as Python's `json.dumps` writes them with sorted
//! keys, without what is said of secrets, and with no definitions but those that are no blocks.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fields::non_block_definitions;
use crate::{filter::python_json, model::Object};

/// The field whose changes leave the checksum as it is, at every level.
const SECRET_FIELDS: &str = "secret_fields";

/// Returns the checksum of `fields`, with the algorithm in front.
pub fn checksum(fields: &Object) -> String {
    let mut fields = without_secret_fields(fields);
    let definitions = match fields.get("definitions") {
        Some(Value::Object(definitions)) if !definitions.is_empty() => {
            Some(non_block_definitions(&fields, definitions))
        }
        _ => None,
    };
    match definitions {
        Some(definitions) if definitions.is_empty() => {
            fields.shift_remove("definitions");
        }
        Some(definitions) => {
            fields.insert("definitions".into(), definitions.into());
        }
        None => {}
    }
    // What Python is given are the positional arguments and the named ones, of which there are none.
    let mut text = String::from("[[");
    write_sorted(&mut text, &Value::Object(fields));
    text.push_str("], {}]");
    let digits: Vec<String> = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", digits.concat())
}

/// Leaves the field out of an object and of those within it, but not of those in lists.
fn without_secret_fields(fields: &Object) -> Object {
    let others = fields.iter().filter(|(name, _)| *name != SECRET_FIELDS);
    others
        .map(|(name, value)| match value {
            Value::Object(fields) => (name.clone(), without_secret_fields(fields).into()),
            other => (name.clone(), other.clone()),
        })
        .collect()
}

fn write_sorted(text: &mut String, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            python_json::write_object(text, sorted, write_sorted);
        }
        Value::Array(items) => python_json::write_list(text, items, write_sorted),
        other => python_json::write_value(text, other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(fields: &Value) -> String {
        checksum(fields.as_object().unwrap())
    }

    /// Computed by Prefect 3.9.1.
    #[test]
    fn is_what_prefect_computes() {
        let plain = json!({
            "title": "A", "type": "object", "properties": {"x": {"type": "string"}, "d": {"type": "object"}},
            "secret_fields": ["d"], "block_type_slug": "ta41f348", "block_schema_references": {},
        });
        let table = [
            (plain, "sha256:0c8fcab076cad90486fbca321795d2dd56997d7faaa45a9fa7fed0ee2897b8ea"),
            (json!({}), "sha256:f8e6e96abbc38504d4e9c99fc57281fa0026bede1fa42db79f22f984501710f4"),
            (json!({"definitions": {}}), "sha256:79b9787dcd02e098a1b261c2d8be3dbe363953714e67eccf5610554df8050ed1"),
        ];
        for (fields, expected) in table {
            assert_eq!(of(&fields), expected, "{fields}");
        }
    }

    #[test]
    fn neither_order_nor_secrets_nor_definitions_of_blocks_change_it() {
        let block = json!({"title": "B", "block_type_slug": "b"});
        let one = json!({"a": {"$ref": "#/definitions/B"}, "b": 1, "definitions": {"B": block}});
        let other = json!({"b": 1, "a": {"$ref": "#/definitions/B", "secret_fields": ["x"]}, "secret_fields": []});
        assert_eq!(of(&one), of(&other));
        let mut model = one.clone();
        model["definitions"]["B"] = json!({"title": "B"});
        assert_ne!(of(&one), of(&model));
    }
}
