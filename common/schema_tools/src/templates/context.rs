//! What templates of automations can name: records as Prefect's models show them.

use std::collections::{BTreeMap, HashMap};

use domain::model::Object;
use minijinja::value::Value;
use serde_json::Value as Json;

use super::values::{Class, Labels, Model, of_json};

/// What a template can name.
///
/// Members of enumerations are texts with a mark: they compare as texts, and print with their class, as in Python.
#[derive(Clone, Debug, Default)]
pub struct Context {
    names: BTreeMap<String, Value>,
    members: HashMap<String, Option<String>>,
    ui_url: Option<String>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Part {
    /// Nothing.
    None,
    /// A plain value.
    Plain(Json),
    /// A record, as its operation answers it.
    Record(Class, Json),
    /// Several records of a class.
    Records(Class, Vec<Json>),
    /// Labels, which are looked up part by part.
    Labels(Object),
}

impl Context {
    /// Begins with nothing but where the user interface is.
    pub fn new(ui_url: Option<String>) -> Self {
        Self { ui_url, ..Self::default() }
    }

    /// Lets templates name `part`.
    pub fn insert(&mut self, name: &str, part: Part) {
        let value = match part {
            Part::None => Value::from(()),
            Part::Plain(json) => of_json(&json),
            Part::Record(class, json) => self.model(class, json),
            Part::Records(class, records) => {
                records.into_iter().map(|json| self.model(class, json)).collect::<Vec<_>>().into()
            }
            Part::Labels(labels) => Value::from_object(Labels::new(&labels)),
        };
        self.names.insert(name.to_owned(), value);
    }

    fn model(&mut self, class: Class, json: Json) -> Value {
        match json {
            Json::Object(fields) => Model::value(class, fields, &mut self.members),
            other => of_json(&other),
        }
    }

    /// Returns what the engine looks names up in.
    pub(super) fn root(&self) -> Value {
        Value::from_pairs(self.names.iter().map(|(name, value)| (name.clone(), value.clone())))
    }

    /// Returns how the members of enumerations print, by their values.
    pub(super) fn members(&self) -> HashMap<String, String> {
        self.members.iter().filter_map(|(value, told)| Some((value.clone(), told.clone()?))).collect()
    }

    pub(super) fn ui_url(&self) -> Option<&str> {
        self.ui_url.as_deref()
    }
}

/// Returns which of `names` a template may name; a name in a text counts as well.
pub fn named<'n>(template: &str, names: &[&'n str]) -> Vec<&'n str> {
    let words: Vec<&str> = template.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    names.iter().copied().filter(|name| words.contains(name)).collect()
}
