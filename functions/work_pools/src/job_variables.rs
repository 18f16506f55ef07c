//! The defaults of a pool's job variables.

use common::{Error, Result, model::Object};

/// Checks that the defaults of a base job template's variables refer to what is there.
///
/// # Errors
/// [`Error::NotFound`] for a default that is in a block document: none is stored yet.
pub(crate) fn check_defaults(template: &Object) -> Result<()> {
    let variables = template.get("variables").and_then(|variables| variables.get("properties")?.as_object());
    let mut defaults = variables.into_iter().flat_map(Object::values).filter_map(|variable| variable.get("default"));
    let is_in_block = |default: &serde_json::Value| {
        default.get("$ref").and_then(|reference| reference.get("block_document_id")).is_some_and(|id| !id.is_null())
    };
    if defaults.any(is_in_block) { Err(Error::NotFound("Block not found.".into())) } else { Ok(()) }
}
