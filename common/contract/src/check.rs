//! Validating and coercing a value by a compiled schema, as pydantic does.

use std::collections::HashSet;

use budget::{Bound, Meter};
use domain::json::large_integer;
use serde_json::{Map, Value};

use super::{
    Checks,
    fault::{Complaint, Step},
    faults::{Faults, Mark},
    refinements::{self, FieldRule},
    scalar::{self, Fit},
    schema::{Bounds, Choices, Default, Extra, Length, Member, Model, Node, NodeId, Schemas},
};

/// The levels of typed schemas that may lie within one another.
const DEEPEST: usize = 100;
/// The unions that may lie within one another; each tries all its members, so that every level multiplies the work.
const DEEPEST_UNIONS: usize = 8;

/// A step of the location that is being validated, borrowed until a fault needs it.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    Key(&'a str),
    Index(usize),
}

/// Validates one value and gathers its faults.
pub(super) struct Checker<'a> {
    schemas: &'a Schemas,
    loc: Vec<At<'a>>,
    pub(super) faults: Faults,
    /// What is left of the steps that a request may take: unions multiply them.
    pub(super) steps: Meter,
    fit: Fit,
    fields_set: Option<usize>,
    depth: usize,
    unions: usize,
    /// Whether the body is bytes rather than JSON, which only some errors tell.
    pub(super) raw_bytes: bool,
    /// What the route brings along.
    pub(super) checks: Checks,
}

impl<'a> Checker<'a> {
    pub(super) fn new(schemas: &'a Schemas) -> Self {
        Self {
            schemas,
            loc: Vec::new(),
            faults: Faults::default(),
            steps: Meter::new(Bound::ContractSteps),
            fit: Fit::Exact,
            fields_set: None,
            depth: 0,
            unions: 0,
            raw_bytes: false,
            checks: Checks::default(),
        }
    }

    /// Validates `input` at the location `loc`; `None` means that faults were added.
    pub(super) fn check_at(&mut self, loc: &[At<'a>], id: NodeId, input: &'a Value) -> Option<Value> {
        self.loc.clear();
        self.loc.extend_from_slice(loc);
        self.check(id, input)
    }

    /// Adds the fault of a parameter that wasn't sent.
    pub(super) fn missing_at(&mut self, loc: &[At<'a>]) {
        self.loc.clear();
        self.loc.extend_from_slice(loc);
        self.complain(missing(), &Value::Null);
    }

    fn check(&mut self, id: NodeId, input: &'a Value) -> Option<Value> {
        // The request is refused, and nothing that is still found is told.
        if self.steps.take(1).is_err() {
            return None;
        }
        if self.depth >= DEEPEST || self.unions > DEEPEST_UNIONS {
            let msg = "Recursion error - cyclic reference detected";
            return self.complain(Complaint::new("recursion_loop", msg), &Value::Null);
        }
        self.depth += 1;
        let value = self.check_node(id, input);
        self.depth -= 1;
        value
    }

    fn check_node(&mut self, id: NodeId, input: &'a Value) -> Option<Value> {
        let schemas = self.schemas;
        // To what takes a single value, a large integer is a number, whatever it is held as.
        let nearest = large_integer::nearest(input);
        let number = nearest.as_ref().unwrap_or(input);
        match schemas.node(id) {
            Node::Any => Some(input.clone()),
            Node::Integer { strict: true, bounds } if nearest.is_some() && *bounds == Bounds::default() => {
                Some(input.clone())
            }
            Node::Null | Node::Nullable(_) if input.is_null() => Some(Value::Null),
            Node::Null => self.complain(Complaint::new("none_required", "Input should be None"), input),
            Node::Boolean { strict } => self.scalar(scalar::boolean(number, *strict), input),
            Node::Integer { strict, bounds } => {
                // What 64 bits can't hold is refused, by the bound that it breaks if there is one.
                if let Some(sign) = scalar::beyond_64_bits(number) {
                    self.bounded((sign * f64::MAX).into(), bounds, false, input)?;
                }
                let integer = self.scalar(scalar::integer(number, *strict && nearest.is_none()), input)?;
                self.bounded(integer, bounds, false, input)
            }
            Node::Float { strict, bounds } => {
                let float = self.scalar(scalar::float(number, *strict), input)?;
                self.bounded(float, bounds, true, input)
            }
            Node::Text { length, pattern } => {
                let Value::String(text) = number else {
                    return self.complain(Complaint::new("string_type", "Input should be a valid string"), input);
                };
                if let Some(complaint) = text_length(text, length) {
                    return self.complain(complaint, input);
                }
                match pattern {
                    Some(pattern) if !pattern.regex.is_match(text) => {
                        let msg = format!("String should match pattern '{}'", pattern.source);
                        let complaint = Complaint::new("string_pattern_mismatch", msg);
                        self.complain(complaint.with("pattern", pattern.source.as_str()), input)
                    }
                    _ => Some(input.clone()),
                }
            }
            Node::Bytes if number.is_string() => Some(input.clone()),
            Node::Bytes => self.complain(Complaint::new("bytes_type", "Input should be a valid bytes"), input),
            Node::Uuid => self.scalar(scalar::uuid(number), input),
            Node::DateTime { lenient: true } => self.scalar(scalar::lenient_datetime(number), input),
            Node::DateTime { lenient: false } => self.scalar(scalar::datetime(number), input),
            Node::Duration => self.scalar(scalar::duration(number), input),
            Node::Enum(choices) => self.choice("enum", choices, input),
            Node::Literal(choices) => self.choice("literal_error", choices, input),
            Node::List { items, length } => self.list(*items, length, input),
            Node::Set { items, length } => self.set(*items, length, input),
            Node::Sequence { items } => self.sequence(*items, input),
            Node::Tuple { items } => self.tuple(items, input),
            Node::Dictionary { values } => self.dictionary(*values, input),
            Node::Model(model) => self.model(model, input),
            Node::Nullable(inner) => self.check(*inner, input),
            Node::Union(members) => self.union(members, input),
            Node::Refined { inner, rule } => self.refined(*inner, *rule, input),
            Node::Specification { specification, other } => self.specification(*specification, *other, input),
        }
    }

    fn scalar(&mut self, converted: Result<(Value, Fit), Complaint>, input: &Value) -> Option<Value> {
        match converted {
            Ok((value, fit)) => {
                self.fit = self.fit.min(fit);
                Some(value)
            }
            Err(complaint) => self.complain(complaint, input),
        }
    }

    fn bounded(&mut self, number: Value, bounds: &Bounds, float: bool, input: &Value) -> Option<Value> {
        let size = number.as_f64().unwrap_or_default();
        let broken = [
            (bounds.le, "le", "less_than_equal", "less than or equal to", size <= bounds.le.unwrap_or(size)),
            (bounds.lt, "lt", "less_than", "less than", bounds.lt.is_none_or(|limit| size < limit)),
            (bounds.ge, "ge", "greater_than_equal", "greater than or equal to", size >= bounds.ge.unwrap_or(size)),
            (bounds.gt, "gt", "greater_than", "greater than", bounds.gt.is_none_or(|limit| size > limit)),
        ]
        .into_iter()
        .find(|(.., holds)| !holds);
        let Some((Some(limit), key, kind, words, _)) = broken else { return Some(number) };
        let complaint = Complaint::new(kind, format!("Input should be {words} {limit}"));
        #[allow(clippy::cast_possible_truncation, reason = "the contract's limits of integers are small integers")]
        let limit = if float { Value::from(limit) } else { Value::from(limit as i64) };
        self.complain(complaint.with(key, limit), input)
    }

    fn choice(&mut self, kind: &'static str, choices: &Choices, input: &Value) -> Option<Value> {
        if choices.values.contains(input) {
            return Some(input.clone());
        }
        let complaint = Complaint::new(kind, format!("Input should be {}", choices.expected));
        self.complain(complaint.with("expected", choices.expected.as_str()), input)
    }

    fn list(&mut self, items: NodeId, length: &Length, input: &'a Value) -> Option<Value> {
        let Value::Array(values) = input else {
            return self.complain(Complaint::new("list_type", "Input should be a valid list"), input);
        };
        if let Some(complaint) = list_length("List", values.len(), length) {
            return self.complain(complaint, input);
        }
        self.items(items, values).map(Value::Array)
    }

    fn set(&mut self, items: NodeId, length: &Length, input: &'a Value) -> Option<Value> {
        let Value::Array(values) = input else {
            return self.complain(Complaint::new("set_type", "Input should be a valid set"), input);
        };
        self.fit = Fit::Lax;
        let mut seen = HashSet::new();
        let mut members = self.items(items, values)?;
        members.retain(|value| seen.insert(value.to_string()));
        match list_length("Set", members.len(), length) {
            Some(complaint) => self.complain(complaint, input),
            None => Some(Value::Array(members)),
        }
    }

    fn sequence(&mut self, items: NodeId, input: &'a Value) -> Option<Value> {
        match input {
            Value::Array(values) => self.items(items, values).map(Value::Array),
            Value::String(text) if large_integer::in_text(text).is_none() => {
                let kind = if self.raw_bytes { "bytes" } else { "str" };
                let msg = format!("'{kind}' instances are not allowed as a Sequence value");
                self.complain(Complaint::new("sequence_str", msg).with("type_name", kind), input)
            }
            _ => {
                let complaint = Complaint::new("is_instance_of", "Input should be an instance of Sequence");
                self.complain(complaint.with("class", "Sequence"), input)
            }
        }
    }

    fn items(&mut self, node: NodeId, values: &'a [Value]) -> Option<Vec<Value>> {
        let before = self.faults.mark();
        // What does not fit is not kept, and there may be much of it.
        let mut checked = Vec::new();
        for (index, value) in values.iter().enumerate() {
            if self.faults.is_full() || self.steps.left() == 0 {
                break;
            }
            checked.extend(self.within(At::Index(index), node, value));
        }
        self.is_sound(before).then_some(checked)
    }

    fn tuple(&mut self, items: &'a [NodeId], input: &'a Value) -> Option<Value> {
        let Value::Array(values) = input else {
            return self.complain(Complaint::new("tuple_type", "Input should be a valid tuple"), input);
        };
        self.fit = Fit::Lax;
        let before = self.faults.mark();
        let mut checked = Vec::with_capacity(items.len());
        for (index, node) in items.iter().enumerate() {
            match values.get(index) {
                Some(value) => checked.extend(self.within(At::Index(index), *node, value)),
                None => self.complain_within(At::Index(index), missing(), input),
            }
        }
        if values.len() > items.len() {
            let (most, actual) = (items.len(), values.len());
            let msg = format!("Tuple should have at most {most} items after validation, not {actual}");
            let complaint = Complaint::new("too_long", msg).with("field_type", "Tuple");
            return self.complain(complaint.with("max_length", most).with("actual_length", actual), input);
        }
        self.is_sound(before).then_some(Value::Array(checked))
    }

    fn dictionary(&mut self, values: NodeId, input: &'a Value) -> Option<Value> {
        let Value::Object(entries) = input else {
            return self.complain(Complaint::new("dict_type", "Input should be a valid dictionary"), input);
        };
        if let Node::Any = self.schemas.node(values) {
            return Some(input.clone());
        }
        let before = self.faults.mark();
        let mut checked = Map::new();
        for (key, value) in entries {
            if self.faults.is_full() || self.steps.left() == 0 {
                break;
            }
            if let Some(value) = self.within(At::Key(key), values, value) {
                checked.insert(key.clone(), value);
            }
        }
        self.is_sound(before).then_some(Value::Object(checked))
    }

    fn model(&mut self, model: &'a Model, input: &'a Value) -> Option<Value> {
        let Value::Object(sent) = input else {
            let msg = "Input should be a valid dictionary or object to extract fields from";
            return self.complain(Complaint::new("model_attributes_type", msg), input);
        };
        if let Err(complaint) = refinements::precondition(model.rules, sent, self.checks.parameters) {
            return self.complain(complaint, input);
        }
        let before = self.faults.mark();
        let mut checked = Map::with_capacity(model.fields.len());
        let mut known = 0;
        for field in &model.fields {
            let value = match sent.get(&field.name) {
                Some(value) => {
                    known += 1;
                    self.within(At::Key(&field.name), field.node, value)
                }
                None if field.required => {
                    self.complain_within(At::Key(&field.name), missing(), input);
                    None
                }
                None => default_of(self.schemas, &field.default),
            };
            if let Some(value) = value {
                checked.insert(field.name.clone(), value);
            }
        }
        if known < sent.len() && model.extra != Extra::Ignore {
            for (key, value) in sent {
                if model.fields.iter().any(|field| field.name == *key) {
                    continue;
                }
                if model.extra == Extra::Forbid {
                    let complaint = Complaint::new("extra_forbidden", "Extra inputs are not permitted");
                    self.complain_within(At::Key(key), complaint, value);
                } else {
                    checked.insert(key.clone(), value.clone());
                }
            }
        }
        self.fit = self.fit.min(Fit::Strict);
        *self.fields_set.get_or_insert(0) += known;
        if !self.is_sound(before) {
            return None;
        }
        match refinements::complete(model.rules, &mut checked) {
            Ok(()) => Some(Value::Object(checked)),
            Err(complaint) => self.complain(complaint, input),
        }
    }

    /// Tries every member and takes the one that fits best: most fields set, then least conversion, then the first.
    fn union(&mut self, members: &'a [Member], input: &'a Value) -> Option<Value> {
        let (fit, fields_set) = (self.fit, self.fields_set);
        self.unions += 1;
        let before = self.faults.mark();
        let mut best: Option<(Value, Fit, Option<usize>)> = None;
        for member in members {
            self.fit = Fit::Exact;
            self.fields_set = None;
            let is_within_itself = |at: &At<'_>| matches!(at, At::Key(key) if *key == member.label);
            let label = match &member.within_itself {
                Some(label) if self.loc.iter().any(is_within_itself) => label,
                _ => &member.label,
            };
            let Some(value) = self.within(At::Key(label), member.node, input) else { continue };
            let exact = self.fit == Fit::Exact && self.fields_set.is_none();
            let better = best.as_ref().is_none_or(|(_, best_fit, best_set)| match (*best_set, self.fields_set) {
                (Some(best_set), Some(set)) if best_set != set => best_set < set,
                _ => *best_fit < self.fit,
            });
            if better {
                best = Some((value, self.fit, self.fields_set));
            }
            if exact {
                break;
            }
        }
        self.unions -= 1;
        self.fit = fit;
        self.fields_set = fields_set;
        let (value, best_fit, best_set) = best?;
        self.faults.forget_since(before);
        self.fit = self.fit.min(best_fit);
        if let Some(set) = best_set {
            *self.fields_set.get_or_insert(0) += set;
        }
        Some(value)
    }

    fn refined(&mut self, inner: NodeId, rule: FieldRule, input: &'a Value) -> Option<Value> {
        match refinements::before(rule, input) {
            Ok(None) => {}
            Ok(Some(value)) => return Some(value),
            Err(complaint) => return self.complain(complaint, input),
        }
        let mut value = self.check(inner, input)?;
        match refinements::after(rule, &mut value, self.checks.templates) {
            Ok(()) => Some(value),
            Err(complaint) => self.complain(complaint, input),
        }
    }

    /// Checks what resources have to be like: what is one, or a list of them, is read as such before anything else.
    fn specification(&mut self, specification: NodeId, other: NodeId, input: &'a Value) -> Option<Value> {
        match input {
            Value::Object(_) => self.check(specification, input),
            Value::Array(items) => {
                // The first that is none is told, and not which one of the list it is.
                let mut objects = items.iter().filter(|item| item.is_object());
                objects.try_for_each(|item| self.check(specification, item).map(drop))?;
                self.check(other, input)
            }
            _ => self.check(other, input),
        }
    }

    fn within(&mut self, step: At<'a>, node: NodeId, input: &'a Value) -> Option<Value> {
        self.loc.push(step);
        let value = self.check(node, input);
        self.loc.pop();
        value
    }

    fn complain_within(&mut self, step: At<'a>, complaint: Complaint, input: &Value) {
        self.loc.push(step);
        self.complain(complaint, input);
        self.loc.pop();
    }

    fn complain(&mut self, complaint: Complaint, input: &Value) -> Option<Value> {
        let loc = || {
            let steps = self.loc.iter().map(|step| match step {
                At::Key(key) => Step::Key((*key).to_owned()),
                At::Index(index) => Step::Index(*index),
            });
            steps.collect()
        };
        self.faults.add(complaint, loc, input);
        None
    }

    /// Tells whether nothing was found to be wrong since, and all was looked at.
    fn is_sound(&self, since: Mark) -> bool {
        self.faults.mark() == since && self.steps.left() > 0
    }
}

/// Lets the models that rewrite their input do so, wherever they lie in a body.
pub(super) struct Preparation<'a> {
    schemas: &'a Schemas,
    checks: Checks,
    /// What is left of the steps that validation may take, which takes at least as many.
    steps: Meter,
    unions: usize,
}

impl<'a> Preparation<'a> {
    pub(super) fn new(schemas: &'a Schemas, checks: Checks) -> Self {
        Self { schemas, checks, steps: Meter::new(Bound::ContractSteps), unions: 0 }
    }

    /// Rewrites `input` by the schema `id`.
    pub(super) fn prepare(&mut self, id: NodeId, input: &mut Value) {
        if self.steps.take(1).is_err() {
            return;
        }
        let schemas = self.schemas;
        match (schemas.node(id), input) {
            (Node::Model(model), Value::Object(sent)) => {
                refinements::prepare(model.rules, sent, self.checks.parameters);
                for field in &model.fields {
                    if let Some(value) = sent.get_mut(&field.name) {
                        self.prepare(field.node, value);
                    }
                }
            }
            (Node::Nullable(inner) | Node::Refined { inner, .. }, input) => self.prepare(*inner, input),
            // Each member rewrites what the next one is given, whether it fits or not.
            (Node::Union(members), input) if self.unions < DEEPEST_UNIONS => {
                self.unions += 1;
                for member in members {
                    self.prepare(member.node, input);
                }
                self.unions -= 1;
            }
            (Node::List { items, .. }, Value::Array(values)) => {
                for value in values {
                    self.prepare(*items, value);
                }
            }
            _ => {}
        }
    }
}

/// Returns the value of a field that wasn't sent, or `None` where the handler makes it up.
pub(super) fn default_of(schemas: &Schemas, default: &Default) -> Option<Value> {
    match default {
        Default::Value(value) => Some(value.clone()),
        Default::Generated => None,
        Default::Model(id) => {
            let Node::Model(model) = schemas.node(*id) else { return None };
            let fields = model
                .fields
                .iter()
                .filter_map(|field| Some((field.name.clone(), default_of(schemas, &field.default)?)));
            Some(Value::Object(fields.collect()))
        }
    }
}

fn missing() -> Complaint {
    Complaint::new("missing", "Field required")
}

fn text_length(text: &str, length: &Length) -> Option<Complaint> {
    if length.min.is_none() && length.max.is_none() {
        return None;
    }
    let count = text.chars().count();
    let plural = |limit: usize| if limit == 1 { "" } else { "s" };
    match (length.min, length.max) {
        (Some(min), _) if count < min => {
            let msg = format!("String should have at least {min} character{}", plural(min));
            Some(Complaint::new("string_too_short", msg).with("min_length", min))
        }
        (_, Some(max)) if count > max => {
            let msg = format!("String should have at most {max} character{}", plural(max));
            Some(Complaint::new("string_too_long", msg).with("max_length", max))
        }
        _ => None,
    }
}

fn list_length(kind: &'static str, count: usize, length: &Length) -> Option<Complaint> {
    let plural = |limit: usize| if limit == 1 { "" } else { "s" };
    let (direction, error, key, limit) = match (length.min, length.max) {
        (Some(min), _) if count < min => ("least", "too_short", "min_length", min),
        (_, Some(max)) if count > max => ("most", "too_long", "max_length", max),
        _ => return None,
    };
    let msg = format!("{kind} should have at {direction} {limit} item{} after validation, not {count}", plural(limit));
    Some(Complaint::new(error, msg).with("field_type", kind).with(key, limit).with("actual_length", count))
}
