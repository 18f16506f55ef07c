//! Values held against JSON Schemas, with the messages of Python's `jsonschema`.

use std::{cmp::Ordering, collections::HashMap, fmt::Display, ptr};

use budget::{Bound, Exceeded, evaluate};
use jsonschema::{
    Draft, PatternOptions, ReferencingError, ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
    paths::{Location, LocationSegment},
};
use serde_json::{Map, Value, json};

use domain::{
    json::large_integer::with_nearest,
    python::{repr, repr_str},
};

use super::{
    allowance::Allowance,
    cost::Schema,
    preprocessing::{Nullable, preprocess, without_required},
};

/// Why a value does not do; written in Prefect's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The value does not fit, or the schema names a part that is not there.
    #[error("{0}")]
    Failed(String),
    /// The value has this fault, and perhaps more.
    #[error("{0}")]
    First(String),
    /// The schema refers to itself before it looks at any part of the value.
    #[error("the schema refers to itself")]
    Circular,
    /// The schema is not a JSON Schema.
    #[error("{0}")]
    NotASchema(String),
}

impl Invalid {
    /// Returns it as Python writes the exception that Prefect raises.
    pub fn as_raised(&self) -> String {
        match self {
            Self::First(message) => format!("<ValidationError: {}>", repr_str(message)),
            Self::Failed(message) => format!("ValidationError({})", repr_str(message)),
            Self::Circular | Self::NotASchema(_) => self.to_string(),
        }
    }
}

/// What becomes of a value that is held against a schema: it fits or it doesn't, unless that is too much to find out.
pub type Verdict<T = ()> = Result<Result<T, Invalid>, Exceeded>;

/// Holds `value` against `schema` (draft 2020-12); formats are not checked, and no other document is fetched.
///
/// What is wrong is what Prefect names first: of all faults the least deep, and under alternatives the one that fits
/// best.
///
/// # Errors
/// [`Exceeded`] if schema or value go beyond a bound, or what is left of the `allowance`.
pub fn validate(value: &Value, schema: &Map<String, Value>, allowance: &Allowance) -> Verdict {
    evaluate(|| hold_against(value, &Value::Object(preprocess(schema, Nullable::WithoutDefault)), allowance))
}

/// Holds `value` against `schema`, in which nothing counts as required: more may be given later.
///
/// # Errors
/// Those of [`validate`].
pub fn validate_incomplete(value: &Value, schema: &Map<String, Value>, allowance: &Allowance) -> Verdict {
    evaluate(|| {
        let schema = without_required(preprocess(schema, Nullable::WithoutDefault));
        hold_against(value, &Value::Object(schema), allowance)
    })
}

/// Holds `value` against `schema` as it stands, be it one or not, but for what it requires.
///
/// # Errors
/// Those of [`validate`].
pub fn validate_part(value: &Value, schema: &Value, allowance: &Allowance) -> Verdict {
    evaluate(|| match schema {
        Value::Object(fields) => hold_against(value, &Value::Object(without_required(fields.clone())), allowance),
        other => hold_against(value, other, allowance),
    })
}

/// Keeps those of `parts` that fit `schema` by themselves, as [`validate_part`] has it.
///
/// # Errors
/// Those of [`validate`].
pub(crate) fn retain_fitting(
    parts: &mut Map<String, Value>,
    schema: &Map<String, Value>,
    allowance: &Allowance,
) -> Result<(), Exceeded> {
    evaluate(|| {
        let schema = Value::Object(without_required(schema.clone()));
        let schema = with_nearest(&schema);
        let all = Value::Object(std::mem::take(parts));
        let Ok(validator) = Validator::new(&schema, &all, allowance)? else { return Ok(()) };
        let Value::Object(all) = all else { return Ok(()) };
        for (name, value) in all {
            let alone = Value::Object(Map::from_iter([(name, value)]));
            let fits = validator.fits(&with_nearest(&alone))?;
            if let (true, Value::Object(alone)) = (fits, alone) {
                parts.extend(alone);
            }
        }
        Ok(())
    })
}

/// Holds the parameters of a new deployment against their schema as [`validate_part`] does.
///
/// # Errors
/// Says what is wrong, in the words of Prefect's validator of new deployments, or which bound is exceeded.
pub fn check_parameters(parameters: &Value, schema: &Value) -> Result<(), String> {
    let verdict = validate_part(parameters, schema, &Allowance::default());
    verdict.map_err(|exceeded| exceeded.to_string())?.map_err(|invalid| match invalid {
        Invalid::NotASchema(why) => format!("The provided schema is not a valid json schema. Schema error: {why}"),
        other => other.to_string(),
    })
}

/// Whether what a schema requires has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// It has to be there.
    Yes,
    /// It may be missing.
    No,
}

/// Holds job `variables` against `schema`.
///
/// A variable may be null although its schema doesn't say so: Prefect can't tell.
///
/// # Errors
/// Those of [`validate`].
pub fn validate_variables(
    variables: &Value,
    schema: &Map<String, Value>,
    required: Required,
    allowance: &Allowance,
) -> Verdict {
    evaluate(|| {
        let schema = preprocess(schema, Nullable::All);
        let schema = match required {
            Required::Yes => schema,
            Required::No => without_required(schema),
        };
        hold_against(variables, &Value::Object(schema), allowance)
    })
}

/// Holds `value` against `schema`, in which nothing counts as required, and stops at the first fault.
///
/// What is wrong is [`Invalid::First`], without its place, or that of [`validate`] where the schema is to blame.
///
/// # Errors
/// Those of [`validate`].
pub fn first_fault(value: &Value, schema: &Map<String, Value>, allowance: &Allowance) -> Verdict {
    evaluate(|| {
        let schema = Value::Object(without_required(preprocess(schema, Nullable::WithoutDefault)));
        let (sent, value, schema) = (value, with_nearest(value), with_nearest(&schema));
        let value = &*value;
        let validator = match Validator::new(&schema, value, allowance)? {
            Ok(validator) => validator,
            Err(invalid) => return Ok(Err(invalid)),
        };
        let faults = validator.faults(value)?;
        Ok(match faults.first() {
            None => Ok(()),
            Some(first) => Err(Invalid::First(Fault::of(first, &schema).message(&schema, sent))),
        })
    })
}

fn hold_against(value: &Value, schema: &Value, allowance: &Allowance) -> Verdict {
    let (sent, value, schema) = (value, with_nearest(value), with_nearest(schema));
    let (value, schema) = (&*value, &*schema);
    let validator = match Validator::new(schema, value, allowance)? {
        Ok(validator) => validator,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let faults = validator.faults(value)?;
    let Some(fault) = best_of(faults.iter().map(|error| Fault::of(error, schema)), schema) else { return Ok(Ok(())) };
    let message = fault.message(schema, sent);
    Ok(Err(Invalid::Failed(if fault.path.is_empty() {
        format!("Validation failed. Failure reason: {message}")
    } else {
        let field = repr_str(&fault.json_path().replace("$.", ""));
        format!("Validation failed for field {field}. Failure reason: {message}")
    })))
}

/// How many steps it costs to check and compile one value of a schema.
const COMPILING: u64 = 16;

/// How many states of a pattern it costs a step to compile.
const STATES: u64 = 10;

/// How large a compiled pattern may be, in bytes.
const PATTERN_SIZE: usize = 1024 * 1024;

/// A schema that values can be held against.
struct Validator<'s> {
    schema: Schema<'s>,
    compiled: jsonschema::Validator,
    allowance: &'s Allowance,
}

impl<'s> Validator<'s> {
    /// Compiles a schema, once it is known that `value` can be held against it.
    fn new(schema: &'s Value, value: &Value, allowance: &'s Allowance) -> Verdict<Self> {
        let (read, is_circular) = afford(schema, value, allowance)?;
        if is_circular {
            return Ok(Err(Invalid::Circular));
        }
        let compiled = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(false)
            .with_pattern_options(patterns())
            .build(schema);
        Ok(match compiled {
            Ok(compiled) => Ok(Self { schema: read, compiled, allowance }),
            Err(error) => Err(not_built(&error, schema)),
        })
    }

    fn fits(&self, value: &Value) -> Result<bool, Exceeded> {
        self.allowance.steps.take(self.schema.cost(value)?.fits)?;
        Ok(self.compiled.is_valid(value))
    }

    /// Returns all that is wrong with `value`.
    fn faults<'v>(&'v self, value: &'v Value) -> Result<Vec<ValidationError<'v>>, Exceeded> {
        let cost = self.schema.cost(value)?;
        self.allowance.steps.take(cost.fits)?;
        if self.compiled.is_valid(value) {
            return Ok(Vec::new());
        }
        self.allowance.faults.take(cost.faults)?;
        let faults: Vec<_> = self.compiled.iter_errors(value).collect();
        let is_unfinished = |error: &ValidationError<'_>| matches!(error.kind(), Kind::BacktrackLimitExceeded { .. });
        if faults.iter().any(is_unfinished) { Err(Exceeded(Bound::PatternSteps)) } else { Ok(faults) }
    }
}

/// Reads a schema, once it is known that it can be compiled and `value` held against it, and says whether it is circular.
pub(super) fn afford<'s>(
    schema: &'s Value,
    value: &Value,
    allowance: &Allowance,
) -> Result<(Schema<'s>, bool), Exceeded> {
    let read = Schema::read(schema)?;
    // What is refused costs no more than it costs to count.
    let is_circular = is_circular(schema, &read);
    if !is_circular {
        read.cost(value)?.check(allowance)?;
    }
    allowance.steps.take(read.size().saturating_mul(COMPILING).saturating_add(read.states() / STATES))?;
    Ok((read, is_circular))
}

/// Returns the bounds of the patterns in a schema.
pub(super) fn patterns() -> PatternOptions<jsonschema::FancyRegex> {
    let steps_back = usize::try_from(Bound::PatternSteps.most()).unwrap_or(usize::MAX);
    PatternOptions::fancy_regex().backtrack_limit(steps_back).size_limit(PATTERN_SIZE)
}

pub(super) fn not_built(error: &ValidationError<'_>, schema: &Value) -> Invalid {
    let failed = |reason: String| Invalid::Failed(format!("Validation failed. Failure reason: {reason}"));
    match error.kind() {
        Kind::Referencing(ReferencingError::PointerToNowhere { pointer }) => {
            failed(format!("PointerToNowhere: {} does not exist within {}", repr_str(pointer), repr(schema)))
        }
        Kind::Referencing(ReferencingError::Unretrievable { uri, .. }) => failed(format!("Unresolvable: {uri}")),
        Kind::Referencing(other) => failed(other.to_string()),
        _ => {
            let instance = error.instance();
            Invalid::NotASchema(message(error, error.kind(), instance, &asked(error.kind())))
        }
    }
}

/// Returns what the schema of schemas asks of the value that is wrong in a certain way.
fn asked(kind: &Kind) -> Value {
    match kind {
        Kind::Type { kind: TypeKind::Single(r#type) } => r#type.to_string().into(),
        // The only choice of types there is what a schema itself may be.
        Kind::Type { kind: TypeKind::Multiple(_) } => json!(["object", "boolean"]),
        Kind::Minimum { limit } | Kind::ExclusiveMinimum { limit } => limit.clone(),
        Kind::Enum { options } => (**options).clone(),
        Kind::Pattern { pattern } => pattern.as_str().into(),
        _ => Value::Null,
    }
}

/// Keywords whose schemas look at the same value as the schema that they stand in.
const IN_PLACE: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

/// Says whether a schema leads back to itself without going on to a part of the value.
fn is_circular<'s>(root: &'s Value, read: &Schema<'s>) -> bool {
    let mut schemas = vec![root];
    let mut at = 0;
    while let Some(schema) = schemas.get(at).copied() {
        match schema {
            Value::Object(fields) => schemas.extend(fields.values()),
            Value::Array(items) => schemas.extend(items),
            _ => {}
        }
        at += 1;
    }
    let mut arrows: HashMap<*const Value, usize> = HashMap::new();
    for next in schemas.iter().flat_map(|schema| in_place(read, schema)) {
        *arrows.entry(ptr::from_ref(next)).or_default() += 1;
    }
    // What no arrow leads to is on no circle, and neither are its own arrows; what is left in the end is.
    let mut free: Vec<&Value> =
        schemas.iter().copied().filter(|schema| !arrows.contains_key(&ptr::from_ref(*schema))).collect();
    let mut freed = 0;
    while let Some(schema) = free.pop() {
        freed += 1;
        for next in in_place(read, schema) {
            let left = arrows.entry(ptr::from_ref(next)).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                free.push(next);
            }
        }
    }
    freed < schemas.len()
}

fn in_place<'s>(read: &Schema<'s>, schema: &'s Value) -> Vec<&'s Value> {
    let Value::Object(fields) = schema else { return Vec::new() };
    let mut next = Vec::new();
    if let Some(Value::String(reference)) = fields.get("$ref")
        && reference.starts_with('#')
    {
        next.extend(read.targets(reference));
    }
    for keyword in IN_PLACE {
        match fields.get(keyword) {
            Some(Value::Array(items)) => next.extend(items),
            Some(schema @ Value::Object(_)) => next.push(schema),
            _ => {}
        }
    }
    next
}

/// One step of the way to a part of a value; an index sorts before a name, which Python could not tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Index(usize),
    Name(String),
}

/// Something that is wrong with a value.
///
/// Its message is made when it is known to be the one that is told: it may have all of the value in it.
#[derive(Clone)]
struct Fault<'e> {
    path: Vec<Step>,
    instance: &'e Value,
    kind: &'e Kind,
    /// Where in the schema that is asked which is not so.
    place: &'e str,
    /// The error in the words of the validator.
    words: &'e dyn Display,
    /// Whether it comes of alternatives, none of which fits.
    is_weak: bool,
    /// Whether the value is of the type that the schema asks for.
    has_the_type: bool,
}

impl<'e> Fault<'e> {
    fn of(error: &'e ValidationError<'_>, schema: &Value) -> Self {
        let (instance, place) = (error.instance().as_ref(), error.schema_path().as_str());
        let around = place.rsplit_once('/').and_then(|(around, _)| schema.pointer(around));
        let asked = around.and_then(|schema| schema.get("type"));
        Self {
            path: steps(error.instance_path()),
            instance,
            kind: error.kind(),
            place,
            words: error,
            is_weak: matches!(place.rsplit_once('/'), Some((_, "anyOf" | "oneOf"))),
            has_the_type: match asked {
                Some(Value::String(r#type)) => is_of_type(instance, r#type),
                Some(Value::Array(types)) => {
                    types.iter().filter_map(Value::as_str).any(|r#type| is_of_type(instance, r#type))
                }
                _ => false,
            },
        }
    }

    /// Returns what is wrong with the value that was sent, which had large integers where a float is held against the schema.
    fn message(&self, schema: &Value, sent: &Value) -> String {
        let instance = self.path.iter().try_fold(sent, |value, step| match step {
            Step::Index(index) => value.get(index),
            Step::Name(name) => value.get(name),
        });
        let instance = instance.unwrap_or(self.instance);
        message(self.words, self.kind, instance, schema.pointer(self.place).unwrap_or(&Value::Null))
    }

    /// Returns what is wrong under each of the alternatives, the least relevant first.
    fn context(&self, schema: &Value) -> Vec<Self> {
        let mut context: Vec<Self> = match self.kind {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                context.iter().flatten().map(|error| Self::of(error, schema)).collect()
            }
            _ => Vec::new(),
        };
        context.sort_by(Self::relevance);
        context
    }

    /// Compares what Python compares to find the fault that says most.
    fn relevance(&self, other: &Self) -> Ordering {
        fn rank<'f>(fault: &'f Fault<'_>) -> (std::cmp::Reverse<usize>, &'f [Step], bool, bool) {
            (std::cmp::Reverse(fault.path.len()), &fault.path, !fault.is_weak, !fault.has_the_type)
        }
        rank(self).cmp(&rank(other))
    }

    fn json_path(&self) -> String {
        let steps = self.path.iter().map(|step| match step {
            Step::Index(index) => format!("[{index}]"),
            Step::Name(name) if is_plain(name) => format!(".{name}"),
            Step::Name(name) => format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")),
        });
        std::iter::once("$".to_owned()).chain(steps).collect()
    }
}

fn steps(path: &Location) -> Vec<Step> {
    path.segments()
        .map(|segment| match segment {
            LocationSegment::Index(index) => Step::Index(index),
            LocationSegment::Property(name) => Step::Name(name.into_owned()),
        })
        .collect()
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Picks the fault that says most: the most relevant one, and among what speaks against alternatives the least.
fn best_of<'e>(faults: impl Iterator<Item = Fault<'e>>, schema: &Value) -> Option<Fault<'e>> {
    // Of equals the first one, where `max_by` would return the last.
    let better = |best: Fault<'e>, next: Fault<'e>| {
        if next.relevance(&best) == Ordering::Greater { next } else { best }
    };
    let mut best = faults.reduce(better)?;
    loop {
        let context = best.context(schema);
        match context.get(..2) {
            Some([first, second]) if first.relevance(second) == Ordering::Equal => return Some(best),
            _ => match context.into_iter().next() {
                Some(next) => best = next,
                None => return Some(best),
            },
        }
    }
}

fn is_of_type(value: &Value, r#type: &str) -> bool {
    match r#type {
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// Says what is wrong with `instance`, of which the schema asks `asked`, in the words of Python's `jsonschema`.
pub(super) fn message(words: &dyn Display, kind: &Kind, instance: &Value, asked: &Value) -> String {
    let value = || repr(instance);
    let one = |asked: &Value, limit: u64, one: &str, more: &str| {
        if asked.as_u64() == Some(limit) { one.to_owned() } else { more.to_owned() }
    };
    match kind {
        Kind::Required { property } => match depended_on(property, instance, asked) {
            Some(name) => format!("{} is a dependency of {}", repr(property), repr_str(name)),
            None => format!("{} is a required property", repr(property)),
        },
        Kind::Format { format } => format!("{} is not a {}", value(), repr_str(format)),
        Kind::Type { .. } => {
            let types = match asked {
                Value::Array(types) => types.iter().map(repr).collect::<Vec<_>>().join(", "),
                r#type => repr(r#type),
            };
            format!("{} is not of type {types}", value())
        }
        Kind::AdditionalProperties { unexpected } => {
            let mut names = unexpected.clone();
            names.sort();
            format!("Additional properties are not allowed ({} unexpected)", extras(&names))
        }
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
            format!("{} is not valid under any of the given schemas", value())
        }
        Kind::OneOfMultipleValid { context } => {
            let mut fitting =
                context.iter().zip(asked.as_array().into_iter().flatten()).filter(|(faults, _)| faults.is_empty());
            let first = fitting.next().map(|(_, schema)| schema);
            let schemas: Vec<String> = fitting.map(|(_, schema)| schema).chain(first).map(repr).collect();
            format!("{} is valid under each of {}", value(), schemas.join(", "))
        }
        Kind::Constant { .. } => format!("{} was expected", repr(asked)),
        Kind::Enum { .. } => format!("{} is not one of {}", value(), repr(asked)),
        Kind::ExclusiveMinimum { .. } => format!("{} is less than or equal to the minimum of {}", value(), repr(asked)),
        Kind::ExclusiveMaximum { .. } => {
            format!("{} is greater than or equal to the maximum of {}", value(), repr(asked))
        }
        Kind::Minimum { .. } => format!("{} is less than the minimum of {}", value(), repr(asked)),
        Kind::Maximum { .. } => format!("{} is greater than the maximum of {}", value(), repr(asked)),
        Kind::MultipleOf { .. } => format!("{} is not a multiple of {}", value(), repr(asked)),
        Kind::MinItems { .. } | Kind::MinLength { .. } => {
            format!("{} {}", value(), one(asked, 1, "should be non-empty", "is too short"))
        }
        Kind::MaxItems { .. } | Kind::MaxLength { .. } => {
            format!("{} {}", value(), one(asked, 0, "is expected to be empty", "is too long"))
        }
        Kind::MinProperties { .. } => {
            format!("{} {}", value(), one(asked, 1, "should be non-empty", "does not have enough properties"))
        }
        Kind::MaxProperties { .. } => {
            format!("{} {}", value(), one(asked, 0, "is expected to be empty", "has too many properties"))
        }
        Kind::UniqueItems => format!("{} has non-unique elements", value()),
        Kind::Pattern { .. } => format!("{} does not match {}", value(), repr(asked)),
        Kind::Contains => format!("{} does not contain items matching the given schema", value()),
        Kind::Not { .. } => format!("{} should not be valid under {}", value(), repr(asked)),
        Kind::FalseSchema => format!("False schema does not allow {}", value()),
        _ => words.to_string(),
    }
}

/// Returns the property of `instance` on account of which another one is required, if `asked` is `dependentRequired`.
fn depended_on<'a>(property: &Value, instance: &Value, asked: &'a Value) -> Option<&'a str> {
    let is_why = |(name, others): &(&String, &Value)| {
        instance.get(name.as_str()).is_some() && others.as_array().is_some_and(|others| others.contains(property))
    };
    asked.as_object()?.iter().find(is_why).map(|(name, _)| name.as_str())
}

fn extras(names: &[String]) -> String {
    let verb = if names.len() == 1 { "was" } else { "were" };
    let names: Vec<String> = names.iter().map(|name| repr_str(name)).collect();
    format!("{} {verb}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(value: &Value, schema: &Value) -> String {
        let verdict = validate(value, schema.as_object().unwrap(), &Allowance::default()).unwrap();
        verdict.map_or_else(|invalid| invalid.to_string(), |()| "fits".into())
    }

    #[test]
    fn says_what_the_real_server_says() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": "integer", "minimum": 3},
                "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
                "e": {"enum": ["a", "b"]},
                "nested": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
                "u": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "p": {"type": "string", "pattern": "^a+$"},
                "d": {"type": "string", "format": "date"},
                "opt": {"type": "string", "default": null},
            },
            "required": ["name", "age"],
            "additionalProperties": false,
        });
        let table = [
            (json!({}), "", "'name' is a required property"),
            (json!({"name": 1, "age": "x"}), " for field 'name'", "1 is not of type 'string'"),
            (json!({"age": 2}), " for field 'age'", "2 is less than the minimum of 3"),
            (json!({"age": 5.5}), " for field 'age'", "5.5 is not of type 'integer'"),
            (json!({"zz": 1, "yy": 2}), "", "Additional properties are not allowed ('yy', 'zz' were unexpected)"),
            (json!({"tags": ["a", 2]}), " for field 'tags[1]'", "2 is not of type 'string'"),
            (json!({"tags": ["a", "b", "c"]}), " for field 'tags'", "['a', 'b', 'c'] is too long"),
            (json!({"e": "c"}), " for field 'e'", "'c' is not one of ['a', 'b']"),
            (json!({"nested": {}}), " for field 'nested'", "'x' is a required property"),
            (json!({"nested": {"x": "y"}}), " for field 'nested.x'", "'y' is not of type 'number'"),
            (json!({"u": "q"}), " for field 'u'", "'q' is not valid under any of the given schemas"),
            (json!({"p": "b"}), " for field 'p'", "'b' does not match '^a+$'"),
            (json!({"opt": null}), " for field 'opt'", "None is not of type 'string'"),
        ];
        for (value, field, reason) in table {
            let mut whole = if value == json!({}) { json!({}) } else { json!({"name": "n", "age": 5}) };
            whole.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
            assert_eq!(
                verdict(&whole, &schema),
                format!("Validation failed{field}. Failure reason: {reason}"),
                "{value}"
            );
        }
        assert_eq!(verdict(&json!({"name": "n", "age": 5.0, "d": "no date", "e": "a"}), &schema), "fits");
    }

    #[test]
    fn tells_a_schema_that_is_none() {
        let check =
            |schema: Value| validate(&json!({"a": 1}), schema.as_object().unwrap(), &Allowance::default()).unwrap();
        assert_eq!(check(json!({"$ref": "#"})), Err(Invalid::Circular));
        let mutual = json!({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}});
        assert_eq!(check(mutual), Err(Invalid::Circular));
        assert_eq!(check(json!({"properties": {"a": {"anyOf": [{"type": "integer"}, {"$ref": "#"}]}}})), Ok(()));
        assert!(matches!(check(json!({"type": "strin"})), Err(Invalid::NotASchema(_))));
        let reason = |schema| check(schema).unwrap_err().to_string();
        assert_eq!(
            reason(json!({"$ref": "#/definitions/x"})),
            "Validation failed. Failure reason: PointerToNowhere: '/definitions/x' does not exist within {'$ref': '#/definitions/x'}"
        );
        assert_eq!(
            reason(json!({"$ref": "http://example.com/x"})),
            "Validation failed. Failure reason: Unresolvable: http://example.com/x"
        );
    }
}
