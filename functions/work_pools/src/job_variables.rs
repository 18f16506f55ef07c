//! The defaults of a pool's job variables, as upstream's `validate_job_variable_defaults_for_work_pool` checks them.

use common::{
    Error, Result,
    model::Object,
    schema_tools::validation::{Invalid, validate_defaults},
};
use serde_json::Value;

/// Checks that the variables of a base job template have a schema, and that their defaults fit it.
///
/// # Errors
/// [`Error::Unprocessable`] if they don't, [`Error::NotFound`] for a default that is in a block document: none is stored
/// yet.
pub(crate) fn check_defaults(template: &Object) -> Result<()> {
    let Some(Value::Object(schema)) = template.get("variables") else { return Ok(()) };
    let mut defaults = Object::new();
    for (name, variable) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        match variable.get("default") {
            None => {}
            Some(Value::Object(reference)) if reference.contains_key("$ref") => {
                let block = reference.get("$ref").and_then(|reference| reference.get("block_document_id"));
                if block.is_some_and(|id| !id.is_null()) {
                    return Err(Error::NotFound("Block not found.".into()));
                }
            }
            Some(default) => {
                defaults.insert(name.clone(), default.clone());
            }
        }
    }
    validate_defaults(&Value::Object(defaults), schema).map_err(|invalid| {
        Error::Unprocessable(match invalid {
            Invalid::NotASchema(why) => format!("Invalid schema: {why}"),
            other => format!("Validation failed for work pool's job variable defaults: {other}"),
        })
    })
}
