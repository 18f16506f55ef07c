//! Placeholders: objects with a `__prefect_kind` that stand for a value to be worked out.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::{
    allowance::Allowance,
    templates::{self, Context, NotRendered},
};
use budget::{Bound, Exceeded, Meter};
use domain::json::loads;
use domain::model::Object;
use domain::python;

/// The key that makes an object a placeholder.
const KIND: &str = "__prefect_kind";

/// Why a placeholder could not be filled in; written in Prefect's words.
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

impl HydrationError {
    /// Returns it as Python writes the exception that Prefect raises, which has no details.
    pub fn repr(&self) -> &'static str {
        match self {
            Self::MissingKey("template") => "TemplateNotFound()",
            Self::MissingKey("variable_name") => "VariableNameNotFound()",
            Self::MissingKey(_) => "ValueNotFound()",
            Self::InvalidJson(_) => "InvalidJSON()",
            Self::InvalidJinja(_) => "InvalidJinja()",
            Self::VariableNotFound(_) => "WorkspaceVariableNotFound()",
        }
    }
}

/// The variables that were looked for, by name; nothing for one that is not there.
pub type KnownVariables = HashMap<String, Option<Value>>;

/// Why placeholders were not looked at to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The names of variables that have to be looked for before placeholders can be filled in.
    UnknownVariables(BTreeSet<String>),
    /// They ask for too much.
    Exceeded(Exceeded),
}

/// How many values, or 64 bytes each, placeholders stand for at the price of an instruction.
const VALUES_OF_AN_INSTRUCTION: u64 = 32;

/// Fills in the placeholders of `input`, as far as the variables that they name are `known`.
///
/// What comes out is a value, or the first placeholder's error that can't be filled in.
///
/// # Errors
/// [`Unfinished::UnknownVariables`] if some are named. With them known there may be more, as the name of one can be in
/// another.
pub fn hydrate(
    input: &Object,
    known: &KnownVariables,
    allowance: &Allowance,
) -> Result<Result<Value, HydrationError>, Unfinished> {
    hydrate_with(input, known, &Context::default(), allowance)
}

/// Fills in the placeholders of `input` as [`hydrate`] does, with what templates can name in `context`.
///
/// # Errors
/// Those of [`hydrate`].
pub fn hydrate_with(
    input: &Object,
    known: &KnownVariables,
    context: &Context,
    allowance: &Allowance,
) -> Result<Result<Value, HydrationError>, Unfinished> {
    let mut hydration = Hydration::new(known, allowance, None);
    hydration.context = Some(context);
    let hydrated = hydration.object(input);
    hydration.know_all()?;
    match hydrated {
        Ok(value) => Ok(Ok(value.unwrap_or_else(|| Value::Object(Map::new())))),
        Err(Stop::Left(Placeholder::Failed(error))) => Ok(Err(error)),
        Err(Stop::Left(Placeholder::Template | Placeholder::Variable)) => Ok(Ok(Value::Null)),
        Err(Stop::Exceeded(exceeded)) => Err(Unfinished::Exceeded(exceeded)),
    }
}

/// Fills in the placeholders of `input` as far as they can be, for a form that is being filled in.
///
/// Templates are checked but not rendered.
///
/// # Errors
/// Those of [`hydrate`].
pub fn hydrate_form(input: &Object, known: &KnownVariables, allowance: &Allowance) -> Result<Form, Unfinished> {
    let mut hydration = Hydration::new(known, allowance, Some(Vec::new()));
    let hydrated = hydration.object(input);
    let hydrated = hydration.leave(hydrated);
    hydration.know_all()?;
    let values = match hydrated {
        Err(Stop::Exceeded(exceeded)) => return Err(Unfinished::Exceeded(exceeded)),
        hydrated => hydrated.ok().flatten().unwrap_or_else(|| Value::Object(Map::new())),
    };
    Ok(Form { values, placeholders: hydration.left.unwrap_or_default() })
}

/// Looks at the placeholders of `input` without filling in templates and variables, which are known later.
///
/// # Errors
/// [`Exceeded`] if they ask for too much.
pub(super) fn inspect(input: &Object, allowance: &Allowance) -> Result<Form, Exceeded> {
    let known = KnownVariables::new();
    let mut hydration = Hydration::new(&known, allowance, Some(Vec::new()));
    hydration.leaves_variables = true;
    let hydrated = hydration.object(input);
    match hydration.leave(hydrated) {
        Err(Stop::Exceeded(exceeded)) => Err(exceeded),
        hydrated => Ok(Form {
            values: hydrated.ok().flatten().unwrap_or_else(|| Value::Object(Map::new())),
            placeholders: hydration.left.unwrap_or_default(),
        }),
    }
}

/// Values in which some placeholders are left, each as a text that stands for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// The values.
    pub values: Value,
    placeholders: Vec<Placeholder>,
}

/// What is left of a placeholder, which is of no type that JSON has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// It can't be filled in.
    Failed(HydrationError),
    /// It is a template that may be rendered later.
    Template,
    /// It is a variable that may be looked for later.
    Variable,
}

impl Placeholder {
    /// Returns it as Python writes the object that Prefect holds.
    pub fn repr(&self) -> &'static str {
        match self {
            Self::Failed(error) => error.repr(),
            // Prefect writes the address of the object as well.
            Self::Template => "<prefect.utilities.schema_tools.hydration.ValidJinja object>",
            Self::Variable => "<prefect.utilities.schema_tools.hydration.WorkspaceVariable object>",
        }
    }
}

impl Form {
    /// Returns all that is left.
    pub fn placeholders(&self) -> &[Placeholder] {
        &self.placeholders
    }

    /// Returns what is left in the place of `value`, if that stands for a placeholder.
    pub fn placeholder(&self, value: &Value) -> Option<&Placeholder> {
        let number = value.as_str()?.strip_prefix(STANDS_FOR)?.strip_suffix(END)?;
        self.placeholders.get(number.parse::<usize>().ok()?)
    }
}

/// What a text that stands for a placeholder begins with; who sends such a text gets an answer that makes less sense.
const STANDS_FOR: &str = "\u{2020}placeholder ";
const END: &str = "\u{2020}";

/// Returns the text that stands for the placeholder `number`.
pub(super) fn stand_in(number: usize) -> String {
    format!("{STANDS_FOR}{number}{END}")
}

struct Hydration<'k> {
    known: &'k KnownVariables,
    /// What templates can name.
    context: Option<&'k Context>,
    unknown: BTreeSet<String>,
    allowance: &'k Allowance,
    /// What placeholders may still be filled in with: a few bytes of one may stand for kilobytes.
    values: Meter,
    bytes: Meter,
    /// The placeholders that were left, if they are to be.
    left: Option<Vec<Placeholder>>,
    /// Whether variables are not looked for.
    leaves_variables: bool,
}

/// Why a placeholder is not filled in.
enum Stop {
    Left(Placeholder),
    Exceeded(Exceeded),
}

impl From<HydrationError> for Stop {
    fn from(error: HydrationError) -> Self {
        Self::Left(Placeholder::Failed(error))
    }
}

impl From<Exceeded> for Stop {
    fn from(exceeded: Exceeded) -> Self {
        Self::Exceeded(exceeded)
    }
}

impl From<NotRendered> for Stop {
    fn from(error: NotRendered) -> Self {
        match error {
            NotRendered::Invalid(why) => HydrationError::InvalidJinja(why).into(),
            NotRendered::Exceeded(exceeded) => exceeded.into(),
        }
    }
}

/// A value, or nothing where it is to be taken out of what is around it.
type Hydrated = Result<Option<Value>, Stop>;

impl<'k> Hydration<'k> {
    fn new(known: &'k KnownVariables, allowance: &'k Allowance, left: Option<Vec<Placeholder>>) -> Self {
        let (values, bytes) = (Meter::new(Bound::PlaceholderValues), Meter::new(Bound::PlaceholderBytes));
        let (context, unknown) = (None, BTreeSet::new());
        Self { known, context, unknown, allowance, values, bytes, left, leaves_variables: false }
    }

    fn know_all(&mut self) -> Result<(), Unfinished> {
        if self.unknown.is_empty() {
            Ok(())
        } else {
            Err(Unfinished::UnknownVariables(std::mem::take(&mut self.unknown)))
        }
    }

    /// Puts a text in the place of what is left of a placeholder, if it is to be left.
    fn leave(&mut self, hydrated: Hydrated) -> Hydrated {
        match (&mut self.left, hydrated) {
            (Some(left), Err(Stop::Left(placeholder))) => {
                left.push(placeholder);
                Ok(Some(Value::String(stand_in(left.len() - 1))))
            }
            (_, hydrated) => hydrated,
        }
    }

    fn part(&mut self, value: &Value) -> Hydrated {
        let hydrated = self.value(value);
        self.leave(hydrated)
    }

    /// Takes what `value` has in it.
    fn take(&self, value: &Value) -> Result<(), Exceeded> {
        let (values, bytes) = size(value);
        self.values.take(values)?;
        self.bytes.take(bytes)?;
        self.allowance.instructions.take((values + bytes / 64) / VALUES_OF_AN_INSTRUCTION)
    }

    fn value(&mut self, value: &Value) -> Hydrated {
        match value {
            Value::Object(fields) => self.object(fields),
            Value::Array(items) => {
                let items = items.iter().filter_map(|item| self.part(item).transpose());
                Ok(Some(Value::Array(items.collect::<Result<_, _>>()?)))
            }
            other => Ok(Some(other.clone())),
        }
    }

    fn object(&mut self, fields: &Object) -> Hydrated {
        let Some(kind) = fields.get(KIND) else {
            let mut hydrated = Map::new();
            for (key, value) in fields {
                if let Some(value) = self.part(value)? {
                    hydrated.insert(key.clone(), value);
                }
            }
            return Ok(Some(Value::Object(hydrated)));
        };
        match kind.as_str() {
            Some("none") => match fields.get("value") {
                Some(value) => self.value(value),
                None => Err(HydrationError::MissingKey("value").into()),
            },
            Some("json") => match self.source(fields, "value")? {
                Some(Value::String(text)) => {
                    let value = loads(&text)?.map_err(HydrationError::InvalidJson)?;
                    self.take(&value)?;
                    Ok(Some(value))
                }
                other => Ok(other),
            },
            Some("jinja") if !fields.contains_key("template") => Err(HydrationError::MissingKey("template").into()),
            Some("jinja") => match self.source(fields, "template")? {
                Some(Value::String(template)) if self.left.is_some() => {
                    templates::check(&template, self.allowance)?;
                    Err(Stop::Left(Placeholder::Template))
                }
                Some(Value::String(template)) => {
                    let nothing = Context::default();
                    let context = self.context.unwrap_or(&nothing);
                    let rendered = Value::String(templates::render(&template, context, self.allowance)?);
                    self.take(&rendered)?;
                    Ok(Some(rendered))
                }
                Some(_) => Err(HydrationError::InvalidJinja("a template is a text".into()).into()),
                None => Ok(None),
            },
            Some("workspace_variable") => match self.source(fields, "variable_name")? {
                Some(_) if self.leaves_variables => Err(Stop::Left(Placeholder::Variable)),
                Some(Value::String(name)) => self.variable(name),
                Some(other) => Err(HydrationError::VariableNotFound(python::repr(&other)).into()),
                None => Ok(None),
            },
            _ => Ok(Some(fields.get("value").cloned().unwrap_or_default())),
        }
    }

    /// Returns what a placeholder is made of, which may be a placeholder itself.
    fn source(&mut self, fields: &Object, key: &str) -> Hydrated {
        match fields.get(key) {
            Some(Value::Object(inner)) => self.object(inner),
            other => Ok(other.cloned()),
        }
    }

    fn variable(&mut self, name: String) -> Hydrated {
        match self.known.get(&name) {
            Some(Some(value)) => {
                self.take(value)?;
                Ok(Some(value.clone()))
            }
            Some(None) => Err(HydrationError::VariableNotFound(name).into()),
            None => {
                self.unknown.insert(name);
                Ok(None)
            }
        }
    }
}

/// Returns how many values a value is, and how many bytes their texts have.
fn size(value: &Value) -> (u64, u64) {
    let sum = |parts: &mut dyn Iterator<Item = (u64, u64)>| {
        parts.fold((1, 0), |(values, bytes), (more, longer)| (values + more, bytes + longer))
    };
    let length = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
    match value {
        Value::Array(items) => sum(&mut items.iter().map(size)),
        Value::Object(fields) => sum(&mut fields.iter().map(|(name, field)| {
            let (values, bytes) = size(field);
            (values, bytes + length(name))
        })),
        Value::String(text) => (1, length(text)),
        _ => (1, 0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hydrate(input: &Object, known: &KnownVariables) -> Result<Result<Value, HydrationError>, Unfinished> {
        super::hydrate(input, known, &Allowance::default())
    }

    fn hydrated(input: &Value) -> Result<Value, String> {
        let known = [("v", Some(json!([1]))), ("name of v", Some(json!("v"))), ("template", Some(json!("{{ 1+1 }}")))];
        let known = known.into_iter().chain([("w", None)]).map(|(name, value)| (name.to_owned(), value)).collect();
        hydrate(input.as_object().unwrap(), &known).unwrap().map_err(|error| error.to_string())
    }

    #[test]
    fn fills_in_each_kind_as_the_real_server_does() {
        let json = |value: Value| json!({"__prefect_kind": "json", "value": value});
        let variable = |name: Value| json!({"__prefect_kind": "workspace_variable", "variable_name": name});
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
            (json!({"a": variable(variable(json!("name of v")))}), json!({"a": [1]})),
            (json!({"a": {"__prefect_kind": "jinja", "template": variable(json!("template"))}}), json!({"a": "2"})),
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
            (
                json!({"a": {"__prefect_kind": "workspace_variable", "variable_name": true}}),
                "Variable 'True' not found in workspace.",
            ),
        ];
        for (input, expected) in table {
            assert_eq!(hydrated(&input), Err(expected.to_owned()), "{input}");
        }
    }

    #[test]
    fn asks_for_all_variables_that_it_comes_upon_before_anything_else() {
        let variable = |name: &str| json!({"__prefect_kind": "workspace_variable", "variable_name": name});
        let input = json!({"a": variable("x"), "b": [variable("y"), variable("x")], "c": {"__prefect_kind": "jinja"}});
        let names = |names: &[&str]| Unfinished::UnknownVariables(names.iter().map(ToString::to_string).collect());
        let input = input.as_object().unwrap();
        assert_eq!(hydrate(input, &KnownVariables::new()), Err(names(&["x", "y"])));
        let x_missing = KnownVariables::from([("x".to_owned(), None)]);
        assert_eq!(hydrate(input, &x_missing), Ok(Err(HydrationError::VariableNotFound("x".into()))));
    }

    #[test]
    fn a_few_bytes_do_not_stand_for_gigabytes() {
        let exceeded = |bound| Err(Unfinished::Exceeded(Exceeded(bound)));
        let many = |placeholder: Value, times: usize| json!({"a": vec![placeholder; times]});
        let values = [("v", json!(vec![0; 2000])), ("t", json!("t".repeat(5000)))];
        let known = values.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect();
        let variable = json!({"__prefect_kind": "workspace_variable", "variable_name": "v"});
        let table = [
            (many(variable, 1000), Bound::PlaceholderValues),
            (
                many(json!({"__prefect_kind": "json", "value": "[[],[],[],[],[],[],[],[]]"}), 100_000),
                Bound::PlaceholderValues,
            ),
            (
                many(json!({"__prefect_kind": "json", "value": format!("[{}0]", "[],".repeat(400_000))}), 1),
                Bound::JsonValues,
            ),
            (
                many(json!({"__prefect_kind": "workspace_variable", "variable_name": "t"}), 2000),
                Bound::PlaceholderBytes,
            ),
            (many(json!({"__prefect_kind": "jinja", "template": "{{ 1 }}"}), 10_000), Bound::TemplateWork),
        ];
        for (input, bound) in table {
            assert_eq!(hydrate(input.as_object().unwrap(), &known), exceeded(bound));
        }
    }
}
