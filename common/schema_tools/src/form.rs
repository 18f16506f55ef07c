//! A form that is being filled in: all that is wrong with its values, property by property (Prefect's
//! `build_error_obj`).

use std::collections::HashSet;

use jsonschema::{Draft, Keyword, ValidationError, error::ValidationErrorKind as Kind, paths::LocationSegment};
use serde::Serialize;
use serde_json::{Map, Value};

use budget::evaluate;
use domain::{json::large_integer::with_nearest, python::repr_str};

use super::{
    allowance::Allowance,
    hydration::{Form, Placeholder, stand_in},
    preprocessing::{Nullable, preprocess},
    validation::{Invalid, Verdict, afford, message, not_built, patterns},
};

/// What is wrong with the values of a form (contract schema `SchemaValuesValidationResponse`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FormErrors {
    errors: Vec<FormError>,
    valid: bool,
}

/// What is wrong with a value or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FormError {
    /// What is wrong with the value.
    Here(String),
    /// What is wrong with a property of it.
    Property {
        /// The property's name.
        property: String,
        /// What is wrong with it.
        errors: Vec<FormError>,
    },
    /// What is wrong with an item of it.
    Item {
        /// The item's place.
        index: usize,
        /// What is wrong with it.
        errors: Vec<FormError>,
    },
}

impl FormError {
    fn at(step: &Step, errors: Vec<Self>) -> Self {
        match step {
            Step::Index(index) => Self::Item { index: *index, errors },
            Step::Name(name) => Self::Property { property: name.clone(), errors },
        }
    }

    /// Returns what is wrong at `step` below, if this is about it.
    fn below(&mut self, step: &Step) -> Option<&mut Vec<Self>> {
        match (self, step) {
            (Self::Property { property, errors }, Step::Name(name)) if property == name => Some(errors),
            (Self::Item { index, errors }, Step::Index(other)) if index == other => Some(errors),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Index(usize),
    Name(String),
}

/// Something that is wrong, in the order in which Python finds it.
#[derive(Debug)]
struct Fault {
    order: Vec<usize>,
    path: Vec<Step>,
    message: String,
    is_of_placeholder: bool,
    /// Whether what it is about is a template, of which nothing is known yet.
    is_pending: bool,
    /// The property that is missing.
    required: Option<String>,
}

/// The keyword that is added to each schema, under which a placeholder that is left fits none.
const PLACEHOLDERS: &str = "_placeholders";

/// The formats that Python's `jsonschema` doesn't check as Prefect installs it.
const UNCHECKED: [&str; 7] = ["hostname", "uri", "uri-reference", "iri", "iri-reference", "uri-template", "duration"];

/// Says all that is wrong with `form`, which is held against `schema`.
///
/// What is wrong with the schema is [`Invalid`].
///
/// # Errors
/// [`budget::Exceeded`] if schema or values go beyond a bound, or what is left of the `allowance`.
pub fn check_form(form: &Form, schema: &Map<String, Value>, allowance: &Allowance) -> Verdict<FormErrors> {
    evaluate(|| {
        let schema = Value::Object(preprocess(schema, Nullable::WithoutDefault));
        Ok(faults(form, &schema, allowance)?.map(errors))
    })
}

/// Puts `faults` in their places.
fn errors(mut faults: Vec<Fault>) -> FormErrors {
    let of_placeholders: HashSet<Vec<Step>> =
        faults.iter().filter(|fault| fault.is_of_placeholder).map(|fault| fault.path.clone()).collect();
    faults.retain(|fault| fault.is_of_placeholder || !of_placeholders.contains(&fault.path));
    let mut answer = FormErrors::default();
    for fault in grouped(faults).into_iter().filter(|fault| !fault.is_pending) {
        let mut path = fault.path;
        path.extend(fault.required.map(Step::Name));
        put(&mut answer.errors, &path, fault.message);
    }
    answer.valid = answer.errors.is_empty();
    answer
}

/// Puts all faults of a place where the first of them is.
fn grouped(faults: Vec<Fault>) -> Vec<Fault> {
    let mut places: Vec<(Vec<Step>, Vec<Fault>)> = Vec::new();
    for fault in faults {
        match places.iter_mut().find(|(path, _)| *path == fault.path) {
            Some((_, faults)) => faults.push(fault),
            None => places.push((fault.path.clone(), vec![fault])),
        }
    }
    places.into_iter().flat_map(|(_, faults)| faults).collect()
}

fn put(errors: &mut Vec<FormError>, path: &[Step], message: String) {
    match path {
        [] => errors.push(FormError::Here(message)),
        [last] => errors.push(FormError::at(last, vec![FormError::Here(message)])),
        [first, rest @ ..] => {
            let known = errors.iter_mut().position(|error| error.below(first).is_some());
            let place = known.unwrap_or_else(|| {
                errors.push(FormError::at(first, Vec::new()));
                errors.len() - 1
            });
            if let Some(below) = errors.get_mut(place).and_then(|error| error.below(first)) {
                put(below, rest, message);
            }
        }
    }
}

fn faults(form: &Form, schema: &Value, allowance: &Allowance) -> Verdict<Vec<Fault>> {
    let (values, schema) = (with_nearest(&form.values), with_nearest(schema));
    let (values, schema) = (&*values, &*schema);
    let (read, is_circular) = afford(schema, values, allowance)?;
    let mut options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    options = options.with_pattern_options(patterns());
    for format in UNCHECKED {
        options = options.with_format(format, |_: &str| true);
    }
    for format in ["email", "idn-email"] {
        options = options.with_format(format, |text: &str| text.contains('@'));
    }
    let mut asked = schema.clone();
    if !form.placeholders().is_empty() {
        mark(&mut asked);
        let left = form.clone();
        options = options.with_keyword(PLACEHOLDERS, move |parent, _, _| {
            let is_typed = ["type", "enum", "const"].iter().any(|keyword| parent.contains_key(*keyword));
            Ok(Box::new(Left { form: left.clone(), is_typed }) as Box<dyn for<'i> Keyword<'i>>)
        });
    }
    let validator = match options.build(&asked) {
        Ok(validator) => validator,
        Err(error) => return Ok(Err(not_built(&error, schema))),
    };
    if is_circular {
        return Ok(Err(Invalid::Circular));
    }
    let cost = read.cost(values)?;
    allowance.steps.take(cost.fits)?;
    allowance.faults.take(cost.faults)?;
    let mut faults: Vec<Fault> =
        validator.iter_errors(values).map(|error| fault(&error.to_owned(), form, schema, &asked)).collect();
    faults.sort_by(|one, other| one.order.cmp(&other.order));
    Ok(Ok(faults))
}

/// Adds the keyword to a schema and all schemas in it.
fn mark(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    for (keyword, value) in fields.iter_mut() {
        match (keyword.as_str(), value) {
            ("enum" | "const" | "default" | "examples" | "required" | "type", _) => {}
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(named),
            ) => {
                named.values_mut().for_each(mark);
            }
            (_, Value::Array(schemas)) => schemas.iter_mut().for_each(mark),
            (_, schema) => mark(schema),
        }
    }
    fields.insert(PLACEHOLDERS.into(), Value::Null);
}

/// Says of a value whether it is a placeholder that fits no schema.
struct Left {
    form: Form,
    /// Whether the schema asks for a type, which a template does not have.
    is_typed: bool,
}

impl<'i> Keyword<'i> for Left {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        match self.form.placeholder(instance) {
            Some(Placeholder::Failed(error)) => Err(ValidationError::custom(error.to_string())),
            Some(Placeholder::Template) if self.is_typed => Err(ValidationError::custom("a template has no type")),
            _ => Ok(()),
        }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        self.validate(instance).is_ok()
    }
}

fn fault(error: &ValidationError<'_>, form: &Form, schema: &Value, asked: &Value) -> Fault {
    let instance = error.instance().as_ref();
    let place = error.schema_path().as_str();
    let is_of_placeholder = matches!(error.kind(), Kind::Custom { .. });
    let written = match error.kind() {
        Kind::Custom { .. } => error.to_string(),
        Kind::PropertyNames { error } => {
            let asked = schema.pointer(error.schema_path().as_str()).unwrap_or(&Value::Null);
            message(error, error.kind(), error.instance().as_ref(), asked)
        }
        _ => message(error, error.kind(), instance, schema.pointer(place).unwrap_or(&Value::Null)),
    };
    let message = form.placeholders().iter().enumerate().fold(written, |message, (number, placeholder)| {
        message.replace(&repr_str(&stand_in(number)), placeholder.repr())
    });
    let steps: Vec<Step> = error
        .instance_path()
        .segments()
        .map(|segment| match segment {
            LocationSegment::Index(index) => Step::Index(index),
            LocationSegment::Property(name) => Step::Name(name.into_owned()),
        })
        .collect();
    // Prefect reads the name out of the message, up to the first space.
    let required = (matches!(error.kind(), Kind::Required { .. }) && !place.ends_with("/dependentRequired"))
        .then(|| message.split(' ').next().unwrap_or_default().trim_matches('\'').to_owned());
    Fault {
        order: order(error, &steps, &form.values, asked),
        path: steps,
        message,
        is_of_placeholder,
        is_pending: form.placeholder(instance) == Some(&Placeholder::Template),
        required,
    }
}

/// Returns where Python comes upon an error: keywords in the order of the schema, and what they look at in its order.
fn order(error: &ValidationError<'_>, path: &[Step], values: &Value, schema: &Value) -> Vec<usize> {
    let mut order = Vec::new();
    let (mut at, mut value, mut steps) = (Some(schema), Some(values), path.iter());
    let mut keyword = None;
    let segments: Vec<String> = error
        .evaluation_path()
        .segments()
        .map(|segment| match segment {
            LocationSegment::Index(index) => index.to_string(),
            LocationSegment::Property(name) => name.into_owned(),
        })
        .collect();
    let last = segments.len().saturating_sub(1);
    for (number, segment) in segments.iter().enumerate() {
        order.push(match at {
            Some(Value::Object(fields)) => fields.keys().position(|name| name == segment).unwrap_or(usize::MAX),
            _ => segment.parse().unwrap_or(usize::MAX),
        });
        let next = match at {
            Some(Value::Object(fields)) => fields.get(segment),
            Some(Value::Array(items)) => segment.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
        // What is named is a property's schema, or the pattern that it is under, or the schema of an item.
        let is_named = keyword.take().is_some();
        let goes_down = match segment.as_str() {
            _ if is_named => true,
            "items" | "additionalProperties" | "unevaluatedItems" | "unevaluatedProperties" => number < last,
            "properties" | "patternProperties" | "prefixItems" => {
                keyword = Some(segment);
                false
            }
            _ => false,
        };
        if goes_down && let Some(step) = steps.next() {
            let (place, part) = part(value, step);
            order.push(place);
            value = part;
        }
        at = match (segment.as_str(), next) {
            ("$ref", Some(Value::String(reference))) if !is_named => {
                reference.strip_prefix('#').and_then(|pointer| schema.pointer(pointer))
            }
            (_, next) => next,
        };
    }
    order
}

/// Returns a part of a value, and its place there.
fn part<'v>(value: Option<&'v Value>, step: &Step) -> (usize, Option<&'v Value>) {
    match (value, step) {
        (Some(Value::Array(items)), Step::Index(index)) => (*index, items.get(*index)),
        (Some(Value::Object(fields)), Step::Name(name)) => {
            (fields.keys().position(|other| other == name).unwrap_or(usize::MAX), fields.get(name))
        }
        _ => (usize::MAX, None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hydration::{KnownVariables, hydrate_form};

    fn checked(values: &Value, schema: &Value) -> Value {
        let known = KnownVariables::from([("none".to_owned(), None)]);
        let allowance = Allowance::default();
        let form = hydrate_form(values.as_object().unwrap(), &known, &allowance).unwrap();
        serde_json::to_value(check_form(&form, schema.as_object().unwrap(), &allowance).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn lists_what_is_wrong_by_place() {
        let schema = json!({
            "properties": {
                "b": {"type": "array", "items": {"$ref": "#/$defs/n"}},
                "a": {"properties": {"x": {"type": "integer"}, "y": {"type": "string"}}, "required": ["y", "z"]},
            },
            "required": ["c"],
            "$defs": {"n": {"type": "integer", "minimum": 2}},
        });
        let values = json!({"a": {"x": "no", "z": 1}, "b": [1, 2, "no"]});
        let wrong = |name: &str, why: &str| json!({"property": name, "errors": [why]});
        let expected = json!({
            "errors": [
                {"property": "b", "errors": [
                    {"index": 0, "errors": ["1 is less than the minimum of 2"]},
                    {"index": 2, "errors": ["'no' is not of type 'integer'"]},
                ]},
                {"property": "a", "errors": [
                    wrong("x", "'no' is not valid under any of the given schemas"),
                    wrong("y", "'y' is a required property"),
                ]},
                wrong("c", "'c' is a required property"),
            ],
            "valid": false,
        });
        assert_eq!(checked(&values, &schema), expected);
    }

    #[test]
    fn says_which_placeholders_can_t_be_filled_in() {
        let schema = json!({"properties": {"a": {"type": "integer"}, "b": {"$ref": "#/$defs/n"}}, "$defs": {"n": {}}});
        let kind = |kind: &str, more: Value| {
            let mut object = json!({"__prefect_kind": kind});
            object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            object
        };
        let template = kind("jinja", json!({"template": "{{ x }}"}));
        assert_eq!(checked(&json!({"a": template}), &schema), json!({"errors": [], "valid": true}));
        let missing = kind("workspace_variable", json!({"variable_name": "none"}));
        let error = json!({"property": "b", "errors": ["Variable 'none' not found in workspace."]});
        let found = checked(&json!({"b": missing, "c": missing}), &schema);
        assert_eq!(found, json!({"errors": [error, error], "valid": false}));
    }
}
