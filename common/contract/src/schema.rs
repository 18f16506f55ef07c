//! The contract's schemas, compiled once into a tree that is quick to validate with.

use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::refinements::{self, FieldRule, ModelRule};

const SCHEMAS: &str = "#/components/schemas/";

/// The index of a node in its [`Schemas`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// The schemas of one operation.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    nodes: Vec<Node>,
    /// Whether some model rewrites its input before validation.
    pub(super) prepares: bool,
    /// Whether some model's parameters have to fit a schema.
    pub(super) checks_parameters: bool,
    /// Whether some field has to be a template.
    pub(super) checks_templates: bool,
}

/// One schema; what it accepts is named as pydantic names its core schemas.
#[derive(Debug)]
pub(super) enum Node {
    Any,
    Null,
    Boolean {
        strict: bool,
    },
    Integer {
        strict: bool,
        bounds: Bounds,
    },
    Float {
        strict: bool,
        bounds: Bounds,
    },
    Text {
        length: Length,
        pattern: Option<Pattern>,
    },
    Bytes,
    Uuid,
    DateTime {
        lenient: bool,
    },
    Duration,
    /// A Python enumeration, told apart from a literal only by its error.
    Enum(Choices),
    Literal(Choices),
    List {
        items: NodeId,
        length: Length,
    },
    Set {
        items: NodeId,
        length: Length,
    },
    /// A list that is declared as a `Sequence`, which has errors of its own.
    Sequence {
        items: NodeId,
    },
    Tuple {
        items: Vec<NodeId>,
    },
    Dictionary {
        values: NodeId,
    },
    Model(Model),
    Nullable(NodeId),
    Union(Vec<Member>),
    /// What resources have to be like, or a union that has it among its members.
    Specification {
        specification: NodeId,
        other: NodeId,
    },
    /// A validator that Prefect wrote by hand, around what the contract says of the value.
    Refined {
        inner: NodeId,
        rule: FieldRule,
    },
}

/// The numeric limits of a schema.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Bounds {
    pub(super) le: Option<f64>,
    pub(super) lt: Option<f64>,
    pub(super) ge: Option<f64>,
    pub(super) gt: Option<f64>,
}

/// The limits of a text's characters or a list's items.
#[derive(Debug, Default)]
pub(super) struct Length {
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
}

/// A regular expression, with the text that errors quote.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) source: String,
    pub(super) regex: Regex,
}

/// The values of an enumeration and the words that list them.
#[derive(Debug)]
pub(super) struct Choices {
    pub(super) values: Vec<Value>,
    pub(super) expected: String,
}

/// An object with declared fields.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) extra: Extra,
    pub(super) rules: &'static [ModelRule],
}

/// What happens to a key that isn't declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra {
    Forbid,
    Ignore,
    Allow,
}

/// A field of a model, or a parameter of an operation.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) node: NodeId,
    pub(super) required: bool,
    pub(super) default: Default,
}

/// What a field that wasn't sent becomes.
#[derive(Debug)]
pub(super) enum Default {
    Value(Value),
    /// A model with the defaults of its own fields.
    Model(NodeId),
    /// A value that Prefect makes up (a name, the current time); left to the handler.
    Generated,
}

/// A member of a union and the name by which errors locate it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) node: NodeId,
    pub(super) label: String,
    /// The name where the member lies within itself, if that is another one.
    pub(super) within_itself: Option<String>,
}

impl Schemas {
    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0).unwrap_or(&Node::Any)
    }
}

/// Compiles schemas, each component once.
#[derive(Default)]
pub(super) struct Compiler<'a> {
    components: Option<&'a Map<String, Value>>,
    schemas: Schemas,
    compiled: HashMap<&'a str, NodeId>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(components: &'a Map<String, Value>) -> Self {
        Self { components: Some(components), ..Self::default() }
    }

    pub(super) fn finish(self) -> Schemas {
        self.schemas
    }

    /// Compiles a field called `name` of the component `owner` (or of an operation, by its id).
    pub(super) fn field(
        &mut self,
        owner: &str,
        name: &str,
        schema: &'a Value,
        required: bool,
        embedded: bool,
    ) -> Field {
        let rules = refinements::of_field(owner, name);
        let strict = rules.contains(&FieldRule::Strict);
        let mut node = self.node(schema, strict);
        let nullable = matches!(self.schemas.node(node), Node::Nullable(_));
        let mut default = match schema.get("default") {
            Some(value) => Default::Value(value.clone()),
            None if nullable || embedded => Default::Value(Value::Null),
            None => self.implied_default(node),
        };
        self.schemas.checks_templates |= refinements::checks_templates(rules);
        for rule in rules {
            match rule {
                FieldRule::Strict => {}
                FieldRule::DefaultsTo(value) => {
                    default = Default::Value(serde_json::from_str(value).unwrap_or_default());
                }
                FieldRule::PlainDateTime => node = self.add(Node::DateTime { lenient: false }),
                FieldRule::Sequence => {
                    if let Node::List { items, .. } = self.schemas.node(node) {
                        let items = *items;
                        node = self.add(Node::Sequence { items });
                    }
                }
                FieldRule::MembersOf(class) => {
                    if let Node::Literal(choices) = self.schemas.node(node) {
                        let choices = choices.as_members_of(class);
                        node = self.add(Node::Literal(choices));
                    }
                }
                FieldRule::Specification => {
                    if let Node::Union(members) = self.schemas.node(node)
                        && let Some(first) = members.first()
                    {
                        let specification = first.node;
                        node = self.add(Node::Specification { specification, other: node });
                    }
                }
                rule => node = self.add(Node::Refined { inner: node, rule: *rule }),
            }
        }
        Field { name: name.to_owned(), node, required, default }
    }

    /// Compiles `schema`; with `strict`, the members of a union don't convert.
    pub(super) fn node(&mut self, schema: &'a Value, strict: bool) -> NodeId {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix(SCHEMAS)) {
            return self.component(name);
        }
        let node = self.compile(schema, strict);
        self.add(node)
    }

    pub(super) fn add(&mut self, node: Node) -> NodeId {
        self.schemas.nodes.push(node);
        NodeId(self.schemas.nodes.len() - 1)
    }

    fn component(&mut self, name: &'a str) -> NodeId {
        if let Some(id) = self.compiled.get(name) {
            return *id;
        }
        let Some(schema) = self.components.and_then(|components| components.get(name)) else {
            return self.add(Node::Any);
        };
        // A component may contain itself, so its place is taken before it is compiled.
        let id = self.add(Node::Any);
        self.compiled.insert(name, id);
        let node = if schema.get("enum").is_some() {
            Node::Enum(choices(schema))
        } else if schema.get("properties").is_some() {
            Node::Model(self.model(name, schema))
        } else {
            self.compile(schema, false)
        };
        let rules = refinements::of_model(name);
        let node = match node {
            Node::Dictionary { values } if !rules.is_empty() => {
                let dictionary = self.add(Node::Dictionary { values });
                Node::Refined { inner: dictionary, rule: FieldRule::Model(rules) }
            }
            node => node,
        };
        if let Some(place) = self.schemas.nodes.get_mut(id.0) {
            *place = node;
        }
        id
    }

    fn model(&mut self, component: &'a str, schema: &'a Value) -> Model {
        let required = |name: &str| {
            schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|n| n == name))
        };
        let fields = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, property)| self.field(component, name, property, required(name), false))
            .collect();
        let extra = match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => Extra::Forbid,
            Some(Value::Bool(true)) => Extra::Allow,
            _ => Extra::Ignore,
        };
        let rules = refinements::of_model(component);
        self.schemas.prepares |= refinements::rewrites(rules);
        self.schemas.checks_parameters |= refinements::checks_parameters(rules);
        Model { name: python_name(component).to_owned(), fields, extra, rules }
    }

    fn compile(&mut self, schema: &'a Value, strict: bool) -> Node {
        if let Some(members) = schema.get("anyOf").and_then(Value::as_array) {
            return self.union(members, strict);
        }
        if schema.get("const").is_some() || schema.get("enum").is_some() {
            return Node::Literal(choices(schema));
        }
        let format = schema.get("format").and_then(Value::as_str);
        match (schema.get("type").and_then(Value::as_str), format) {
            (Some("null"), _) => Node::Null,
            (Some("boolean"), _) => Node::Boolean { strict },
            (Some("integer"), _) => Node::Integer { strict, bounds: bounds(schema) },
            (Some("number"), _) => Node::Float { strict, bounds: bounds(schema) },
            (Some("string"), Some("uuid")) => Node::Uuid,
            (Some("string"), Some("date-time")) => Node::DateTime { lenient: true },
            (Some("string"), Some("duration")) => Node::Duration,
            (Some("string"), _) if schema.get("contentMediaType").is_some() => Node::Bytes,
            (Some("string"), _) => {
                Node::Text { length: length(schema, "minLength", "maxLength"), pattern: pattern(schema) }
            }
            (Some("array"), _) => self.array(schema, strict),
            (Some("object"), _) => match schema.get("additionalProperties") {
                Some(values @ Value::Object(_)) => Node::Dictionary { values: self.node(values, strict) },
                _ => Node::Dictionary { values: self.add(Node::Any) },
            },
            _ => Node::Any,
        }
    }

    fn array(&mut self, schema: &'a Value, strict: bool) -> Node {
        if let Some(items) = schema.get("prefixItems").and_then(Value::as_array) {
            return Node::Tuple { items: items.iter().map(|item| self.node(item, strict)).collect() };
        }
        let items = match schema.get("items") {
            Some(items) => self.node(items, strict),
            None => self.add(Node::Any),
        };
        let length = length(schema, "minItems", "maxItems");
        match schema.get("uniqueItems") {
            Some(Value::Bool(true)) => Node::Set { items, length },
            _ => Node::List { items, length },
        }
    }

    fn union(&mut self, members: &'a [Value], strict: bool) -> Node {
        let is = |member: &Value, kind: &str| member.get("type").is_some_and(|other| other == kind);
        let nullable = members.iter().any(|member| is(member, "null"));
        let others: Vec<&'a Value> = members.iter().filter(|member| !is(member, "null")).collect();
        match others.as_slice() {
            [] => Node::Null,
            // A length of time is read as one value, so that its errors are not those of a union.
            [seconds, text] if is(seconds, "number") && is(text, "string") => {
                if nullable {
                    Node::Nullable(self.add(Node::Duration))
                } else {
                    Node::Duration
                }
            }
            [only] if nullable => Node::Nullable(self.node(only, strict)),
            _ => {
                let union = Node::Union(others.iter().map(|member| self.member(member, strict)).collect());
                if nullable { Node::Nullable(self.add(union)) } else { union }
            }
        }
    }

    fn member(&mut self, schema: &'a Value, strict: bool) -> Member {
        let node = self.node(schema, strict);
        let component = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix(SCHEMAS));
        // A component's label comes from its name, because one that contains itself isn't compiled yet.
        let label = component.map_or_else(
            || self.label(node),
            |name| refinements::wrapped_label(refinements::of_model(name), python_name(name)),
        );
        let within_itself =
            component.and_then(|name| refinements::label_within_itself(refinements::of_model(name), &label));
        Member { node, label, within_itself }
    }

    /// Names a schema as pydantic names it in the location of a union's errors.
    fn label(&self, id: NodeId) -> String {
        match self.schemas.node(id) {
            Node::Any => "any".to_owned(),
            Node::Null => "none".to_owned(),
            Node::Boolean { .. } => "bool".to_owned(),
            Node::Integer { bounds, .. } if bounds.is_set() => "constrained-int".to_owned(),
            Node::Integer { .. } => "int".to_owned(),
            Node::Float { bounds, .. } if bounds.is_set() => "constrained-float".to_owned(),
            Node::Float { .. } => "float".to_owned(),
            Node::Text { length, pattern } if length.is_set() || pattern.is_some() => "constrained-str".to_owned(),
            Node::Text { .. } => "str".to_owned(),
            Node::Bytes => "bytes".to_owned(),
            Node::Uuid => "uuid".to_owned(),
            Node::DateTime { lenient: true } => "function-wrap[_validate()]".to_owned(),
            Node::DateTime { lenient: false } => "datetime".to_owned(),
            Node::Duration => "timedelta".to_owned(),
            Node::Enum(choices) => format!("enum[{}]", choices.quoted()),
            Node::Literal(choices) => format!("literal[{}]", choices.quoted()),
            Node::List { items, .. } | Node::Sequence { items } => format!("list[{}]", self.label(*items)),
            Node::Set { items, .. } => format!("set[{}]", self.label(*items)),
            Node::Tuple { items } => {
                format!("tuple[{}]", items.iter().map(|item| self.label(*item)).collect::<Vec<_>>().join(", "))
            }
            Node::Dictionary { values } => format!("dict[str,{}]", self.label(*values)),
            Node::Model(model) => refinements::wrapped_label(model.rules, &model.name),
            Node::Nullable(inner) => format!("nullable[{}]", self.label(*inner)),
            Node::Union(members) => {
                format!("union[{}]", members.iter().map(|m| m.label.as_str()).collect::<Vec<_>>().join(","))
            }
            Node::Refined { inner, .. } | Node::Specification { other: inner, .. } => self.label(*inner),
        }
    }

    /// Returns the default of a field that pydantic fills from a factory, which the contract doesn't tell.
    fn implied_default(&self, node: NodeId) -> Default {
        match self.schemas.node(node) {
            Node::List { .. } | Node::Set { .. } => Default::Value(Value::Array(Vec::new())),
            Node::Dictionary { .. } => Default::Value(Value::Object(Map::new())),
            Node::Model(_) => Default::Model(node),
            _ => Default::Generated,
        }
    }
}

impl Bounds {
    fn is_set(&self) -> bool {
        self.le.is_some() || self.lt.is_some() || self.ge.is_some() || self.gt.is_some()
    }
}

impl Length {
    fn is_set(&self) -> bool {
        self.min.is_some() || self.max.is_some()
    }
}

impl Choices {
    /// Returns the choices where a literal lists members of the Python enumeration `class`, which errors name as such.
    fn as_members_of(&self, class: &str) -> Self {
        let members = self.values.iter().filter_map(Value::as_str).map(|name| format!("{class}.{name}"));
        Self { values: self.values.clone(), expected: alternatives(&members.collect::<Vec<_>>()) }
    }

    fn quoted(&self) -> String {
        self.values.iter().map(quote).collect::<Vec<_>>().join(",")
    }
}

fn bounds(schema: &Value) -> Bounds {
    let bound = |keyword| schema.get(keyword).and_then(Value::as_f64);
    Bounds { le: bound("maximum"), lt: bound("exclusiveMaximum"), ge: bound("minimum"), gt: bound("exclusiveMinimum") }
}

fn length(schema: &Value, min: &str, max: &str) -> Length {
    let limit = |keyword| schema.get(keyword).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
    Length { min: limit(min), max: limit(max) }
}

/// Compiles a pattern; pydantic matches with the same Rust library, so no Python syntax occurs.
fn pattern(schema: &Value) -> Option<Pattern> {
    let source = schema.get("pattern").and_then(Value::as_str)?;
    Some(Pattern { source: source.to_owned(), regex: Regex::new(source).ok()? })
}

fn choices(schema: &Value) -> Choices {
    let values = match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => vec![value.clone()],
        (None, Some(Value::Array(values))) => values.clone(),
        _ => Vec::new(),
    };
    let words: Vec<String> = values.iter().map(quote).collect();
    Choices { values, expected: alternatives(&words) }
}

/// Lists `words` with an "or" before the last one.
fn alternatives(words: &[String]) -> String {
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Quotes a value as Python's `repr` does.
fn quote(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("'{text}'"))
}

/// Returns the name of a component's Python class, without the suffix of a class that reads and writes differently.
fn python_name(component: &str) -> &str {
    component.strip_suffix("-Input").or_else(|| component.strip_suffix("-Output")).unwrap_or(component)
}
