//! Job variables, held against the schema that a work pool's base job template gives for them.
//!
//! As Prefect's `prefect.server.api.validation`: those of a flow run lie over those of its deployment, and these over
//! the template's defaults.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use domain::model::{BlockDocumentId, Object};
use error::{Error, Result};

use crate::{
    Allowance,
    validation::{Invalid, Required, first_fault, retain_fitting, validate_part, validate_variables},
};

/// The data of the block documents that hold defaults, without their secrets.
pub type BlockData = HashMap<BlockDocumentId, Value>;

/// Returns the block documents that hold defaults of a base job template's variables.
pub fn blocks_with_defaults(template: &Object) -> BTreeSet<BlockDocumentId> {
    let properties = schema_of(template).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let defaults = properties.into_iter().flatten().filter_map(|(_, variable)| variable.get("default"));
    defaults.filter_map(|default| id_of_block(default.get("$ref")?)).collect()
}

fn id_of_block(reference: &Value) -> Option<BlockDocumentId> {
    reference.get("block_document_id")?.as_str()?.parse().ok()
}

/// Checks that the variables of a base job template have a schema, and that their defaults fit it.
///
/// `blocks` are the documents that [`blocks_with_defaults`] names.
///
/// # Errors
/// [`Error::Unprocessable`] if they don't, [`Error::NotFound`] for a default that is in no document there is.
pub fn check_defaults(template: &Object, blocks: &BlockData, allowance: &Allowance) -> Result<()> {
    let Some(schema) = schema_of(template) else { return Ok(()) };
    let defaults = Value::Object(defaults(schema, blocks, allowance)?);
    validate_variables(&defaults, schema, Required::No, allowance)?
        .map_err(|invalid| refusal("Validation failed for work pool's job variable defaults", invalid))
}

/// Checks a deployment's job variables, of which a flow run may still give some that are required.
///
/// # Errors
/// Those of [`check_defaults`].
pub fn check_of_deployment(
    template: &Object,
    blocks: &BlockData,
    variables: &Object,
    allowance: &Allowance,
) -> Result<()> {
    check("Error creating deployment", template, blocks, &[variables], Required::No, allowance)
}

/// Checks all the job variables of a new flow run: its own and, below them, its deployment's.
///
/// # Errors
/// Those of [`check_defaults`].
pub fn check_of_flow_run(
    template: &Object,
    blocks: &BlockData,
    deployment: &Object,
    own: &Object,
    allowance: &Allowance,
) -> Result<()> {
    check("Error creating flow run", template, blocks, &[deployment, own], Required::Yes, allowance)
}

/// Checks all the job variables of a flow run whose own ones are changed.
///
/// # Errors
/// Those of [`check_defaults`].
pub fn check_of_changed_flow_run(
    template: &Object,
    blocks: &BlockData,
    deployment: &Object,
    own: &Object,
    allowance: &Allowance,
) -> Result<()> {
    check("Error updating flow run", template, blocks, &[deployment, own], Required::Yes, allowance)
}

/// Checks the job variables of a change of a deployment by themselves.
///
/// # Errors
/// [`Error::Conflict`] if they don't fit; Prefect shows what Python raised.
pub fn check_of_change(template: &Object, variables: &Object, allowance: &Allowance) -> Result<()> {
    let Some(schema) = schema_of(template) else { return Ok(()) };
    match first_fault(&Value::Object(variables.clone()), schema, allowance)? {
        // Prefect looks at no more of the schema than the variables need, and not whether it is one.
        Ok(()) | Err(Invalid::NotASchema(_)) => Ok(()),
        Err(invalid) => Err(Error::Conflict(format!("Error creating deployment: {}", invalid.as_raised()))),
    }
}

/// Checks the job variables of an action that runs a deployment, and says what is wrong with them.
///
/// The deployment's own variables don't count, and so don't give what is required: as in Prefect.
///
/// # Errors
/// [`Error::Unprocessable`] if the template's schema is none, [`Error::NotFound`] as [`check_defaults`].
pub fn fault_of_action(
    template: &Object,
    blocks: &BlockData,
    own: &Object,
    allowance: &Allowance,
) -> Result<Option<String>> {
    match hold(template, blocks, &[own], Required::Yes, allowance)? {
        Ok(()) => Ok(None),
        Err(Invalid::NotASchema(why)) => Err(not_a_schema(&why)),
        Err(invalid) => Ok(Some(invalid.to_string())),
    }
}

fn check(
    doing: &str,
    template: &Object,
    blocks: &BlockData,
    layers: &[&Object],
    required: Required,
    allowance: &Allowance,
) -> Result<()> {
    hold(template, blocks, layers, required, allowance)?.map_err(|invalid| refusal(doing, invalid))
}

/// Holds the variables of all `layers`, the upper ones last, against the schema of a template.
fn hold(
    template: &Object,
    blocks: &BlockData,
    layers: &[&Object],
    required: Required,
    allowance: &Allowance,
) -> Result<Result<(), Invalid>> {
    let Some(schema) = schema_of(template) else { return Ok(Ok(())) };
    let mut variables = defaults(schema, blocks, allowance)?;
    let declared = variables.len();
    retain_fitting(&mut variables, schema, allowance)?;
    // A default that doesn't fit may be the one that is required.
    let required = if variables.len() < declared { Required::No } else { required };
    for layer in layers {
        variables.extend(layer.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Ok(validate_variables(&Value::Object(variables), schema, required, allowance)?)
}

fn schema_of(template: &Object) -> Option<&Object> {
    template.get("variables").and_then(Value::as_object).filter(|schema| !schema.is_empty())
}

fn defaults(schema: &Object, blocks: &BlockData, allowance: &Allowance) -> Result<Object> {
    let mut defaults = Object::new();
    for (name, variable) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        match variable.get("default") {
            None => {}
            Some(default) => match default.get("$ref") {
                None => {
                    defaults.insert(name.clone(), default.clone());
                }
                Some(Value::Object(reference)) if reference.get("block_document_id").is_none_or(Value::is_null) => {}
                Some(reference) => match id_of_block(reference).and_then(|id| blocks.get(&id)) {
                    Some(data) => {
                        defaults.insert(name.clone(), data.clone());
                    }
                    None => return Err(no_such_block(schema, allowance)),
                },
            },
        }
    }
    Ok(defaults)
}

/// What is answered for a default that is in a block document; a schema that is none is told of first.
fn no_such_block(schema: &Object, allowance: &Allowance) -> Error {
    match validate_part(&Value::Null, &Value::Object(schema.clone()), allowance) {
        Err(exceeded) => exceeded.into(),
        Ok(Err(Invalid::NotASchema(why))) => not_a_schema(&why),
        _ => Error::not_found_in_words("Block not found."),
    }
}

fn not_a_schema(why: &str) -> Error {
    Error::Unprocessable(format!("Invalid schema: {why}"))
}

fn refusal(doing: &str, invalid: Invalid) -> Error {
    match invalid {
        Invalid::NotASchema(why) => not_a_schema(&why),
        other => Error::Unprocessable(format!("{doing}: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    fn template() -> Object {
        object(json!({"variables": {
            "type": "object",
            "properties": {
                "image": {"type": "string"},
                "cpus": {"type": "integer", "default": 1},
                "region": {"type": "string"},
            },
            "required": ["image"],
        }}))
    }

    #[test]
    fn a_flow_run_gives_what_is_required_and_a_deployment_may_leave_it_out() {
        let (template, none) = (template(), Object::new());
        let image = object(json!({"image": "i"}));
        assert!(
            check_of_deployment(&template, &BlockData::new(), &object(json!({"cpus": 2})), &Allowance::default())
                .is_ok()
        );
        assert!(check_of_flow_run(&template, &BlockData::new(), &none, &image, &Allowance::default()).is_ok());
        assert!(check_of_flow_run(&template, &BlockData::new(), &image, &none, &Allowance::default()).is_ok());
        let refused = check_of_flow_run(&template, &BlockData::new(), &none, &none, &Allowance::default()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Error creating flow run: Validation failed. Failure reason: 'image' is a required property"
        );
    }

    #[test]
    fn own_variables_lie_over_the_deployments() {
        let (broken, mended) = (object(json!({"image": 1})), object(json!({"image": "i"})));
        assert!(check_of_flow_run(&template(), &BlockData::new(), &broken, &mended, &Allowance::default()).is_ok());
        assert!(check_of_flow_run(&template(), &BlockData::new(), &mended, &broken, &Allowance::default()).is_err());
    }

    #[test]
    fn a_default_that_is_in_a_block_is_not_found() {
        let with_reference = |reference: Value, r#type: &str| {
            let variable = json!({"type": r#type, "default": {"$ref": reference}});
            check_defaults(
                &object(json!({"variables": {"properties": {"v": variable}}})),
                &BlockData::new(),
                &Allowance::default(),
            )
            .map_err(|error| error.to_string())
        };
        let a_block = json!({"block_document_id": "00000000-0000-4000-8000-00000000dead"});
        assert_eq!(with_reference(a_block.clone(), "string"), Err("Block not found.".into()));
        let invalid = with_reference(a_block, "nothing").unwrap_err();
        assert!(invalid.starts_with("Invalid schema: 'nothing'"), "{invalid}");
        assert_eq!(with_reference(json!({"block_document_id": null}), "string"), Ok(()));
        assert_eq!(with_reference(json!({"other": 1}), "string"), Ok(()));
        assert_eq!(with_reference(json!("text"), "string"), Err("Block not found.".into()));
    }

    #[test]
    fn a_default_that_is_in_a_block_is_held_against_the_schema() {
        let id = BlockDocumentId::new();
        let template = object(json!({"variables": {"properties": {
            "env": {"type": "object", "default": {"$ref": {"block_document_id": id}}},
            "other": {"default": {"$ref": {"block_document_id": "none"}}},
        }}}));
        assert_eq!(blocks_with_defaults(&template), [id].into());
        let mut template = template;
        template["variables"]["properties"].as_object_mut().unwrap().shift_remove("other");
        let with = |data: Value| check_defaults(&template, &BlockData::from([(id, data)]), &Allowance::default());
        assert!(with(json!({"A": "1"})).is_ok());
        assert!(matches!(with(json!("text")), Err(Error::Unprocessable(_))));
        assert!(matches!(check_defaults(&template, &BlockData::new(), &Allowance::default()), Err(Error::NotFound(_))));
    }

    #[test]
    fn nothing_is_required_beside_a_default_that_does_not_fit() {
        let mut template = template();
        template["variables"]["properties"]["cpus"]["default"] = json!("many");
        assert!(
            check_of_flow_run(&template, &BlockData::new(), &Object::new(), &Object::new(), &Allowance::default())
                .is_ok()
        );
        assert!(check_defaults(&template, &BlockData::new(), &Allowance::default()).is_err());
    }
}
