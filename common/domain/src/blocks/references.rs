//! The documents within a document, which its data names as `{"$ref": {"block_document_id": …}}`.

use error::{Error, Result};
use serde_json::Value;

use crate::model::{BlockDocumentId, Object, block_document::BlockDocumentReference};

/// Takes the documents out of `data` that its own fields name; those that are named any deeper are left as they are.
///
/// # Errors
/// [`Error::BadRequest`] for a field that names no document.
pub fn take_out(data: Object) -> Result<(Object, Vec<BlockDocumentReference>)> {
    let (mut rest, mut references) = (Object::new(), Vec::new());
    for (field, value) in data {
        match value.get("$ref").filter(|_| value.is_object()) {
            None => {
                rest.insert(field, value);
            }
            Some(reference) => {
                let id = id_of(&field, reference)?;
                references.push(BlockDocumentReference { name: field, id });
            }
        }
    }
    Ok((rest, references))
}

fn id_of(field: &str, reference: &Value) -> Result<BlockDocumentId> {
    match reference.get("block_document_id") {
        None | Some(Value::Null) => {
            Err(Error::BadRequest(format!("Received block reference without a block_document_id in key {field}")))
        }
        Some(id) => id
            .as_str()
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| Error::BadRequest(format!("The block_document_id in key {field} is no UUID"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_fields_name_themselves_is_taken_out() {
        let id = BlockDocumentId::new();
        let reference = json!({"$ref": {"block_document_id": id}});
        let data = json!({"a": 1, "b": reference, "c": [reference], "d": {"e": reference}, "f": "$ref"});
        let (rest, references) = take_out(data.as_object().unwrap().clone()).unwrap();
        assert_eq!(references, [BlockDocumentReference { name: "b".into(), id }]);
        assert_eq!(Value::Object(rest), json!({"a": 1, "c": [reference], "d": {"e": reference}, "f": "$ref"}));
    }

    #[test]
    fn what_names_no_document_is_refused() {
        for wrong in [json!({}), json!(5), json!(null), json!("t"), json!([]), json!({"block_document_id": null})] {
            let data = Object::from_iter([("k".into(), json!({"$ref": wrong}))]);
            let words = "Received block reference without a block_document_id in key k";
            assert_eq!(take_out(data).unwrap_err().to_string(), words, "{wrong}");
        }
        let data = Object::from_iter([("k".into(), json!({"$ref": {"block_document_id": "x"}}))]);
        assert!(matches!(take_out(data), Err(Error::BadRequest(_))));
    }
}
