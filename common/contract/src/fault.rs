//! What is wrong with a request, in pydantic's words.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value, json};

/// One error of a request, serialised as pydantic's error dictionary: `type`, `loc`, `msg`, `input`, `ctx`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fault {
    /// The kind of error, such as `missing` or `int_parsing`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// Where the faulty value lies, from `body`, `query`, `path` or `header` inwards.
    pub loc: Vec<Step>,
    /// What a person reads.
    pub msg: Cow<'static, str>,
    /// The value that was found, or the object that a field is missing from.
    pub input: Value,
    /// The numbers and names in `msg`, left out where pydantic has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<Map<String, Value>>,
}

/// One step of a fault's location.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Step {
    /// A field's name, or the name of the member of a union that was tried.
    Key(String),
    /// The index of an item, or the character offset of a JSON syntax error.
    Index(usize),
}

/// A fault before it is known where: the kind, the message and its context.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Complaint {
    kind: Cow<'static, str>,
    msg: Cow<'static, str>,
    ctx: Option<Map<String, Value>>,
}

impl Complaint {
    pub(super) fn new(kind: &'static str, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: kind.into(), msg: msg.into(), ctx: None }
    }

    /// A complaint of a validator written by hand Prefect: a Python `ValueError`, which FastAPI encodes as `{}`.
    pub(super) fn value_error(msg: &str) -> Self {
        Self::new("value_error", format!("Value error, {msg}")).with("error", json!({}))
    }

    #[must_use]
    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.ctx.get_or_insert_default().insert(key.to_owned(), value.into());
        self
    }

    pub(super) fn at(self, loc: Vec<Step>, input: Value) -> Fault {
        Fault { kind: self.kind, loc, msg: self.msg, input, ctx: self.ctx }
    }
}

/// Echoes a value as FastAPI's `jsonable_encoder` does, which drops the keys that `SQLAlchemy` could have added.
pub(super) fn echo(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !key.starts_with("_sa"))
            .map(|(key, value)| (key.clone(), echo(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(echo).collect(),
        scalar => scalar.clone(),
    }
}
