//! What it costs to hold a value against a schema, counted before anything is compiled.
//!
//! Nothing stops a validator on its way. So the schema is unfolded first, along the value, as the validator will: into
//! what is applied to the same value (`$ref`, `anyOf`), and into what is applied to its parts (`properties`, `items`).
//! What a reference leads to is counted once for each value that it is applied to, and added wherever it is referred
//! to: fourteen levels of three references each are fourteen sums, and nearly five million steps.
//!
//! The count is never less than what the validator does, and may be more: where several schemas have the name that a
//! reference gives, all of them are counted.

use std::collections::{HashMap, HashSet};

use budget::{Bound, Exceeded};
use serde_json::{Map, Value};

use crate::{allowance::Allowance, pattern::Pattern};

/// What it costs to hold a value against a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// The steps to tell whether it fits.
    pub(super) fits: u64,
    /// The steps to say all that is wrong with it.
    pub(super) faults: u64,
}

impl Cost {
    /// Checks that as much is left.
    ///
    /// # Errors
    /// [`Exceeded`] if less is left.
    pub(super) fn check(self, allowance: &Allowance) -> Result<(), Exceeded> {
        if self.fits > allowance.steps.left() { Err(allowance.steps.exceeded()) } else { Ok(()) }
    }

    const fn same(steps: u64) -> Self {
        Self { fits: steps, faults: steps }
    }

    const fn plus(self, other: Self) -> Self {
        Self { fits: self.fits.saturating_add(other.fits), faults: self.faults.saturating_add(other.faults) }
    }

    const fn times(self, factor: u64) -> Self {
        Self { fits: self.fits.saturating_mul(factor), faults: self.faults.saturating_mul(factor) }
    }
}

/// Keywords of one schema that is applied to the same value.
const ONE_IN_PLACE: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords of several schemas that are applied to the same value.
const MANY_IN_PLACE: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords of schemas that are applied to the same value if it has a certain property.
const NAMED_IN_PLACE: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Keywords of a schema that is applied to items.
const OF_ITEMS: [&str; 4] = ["items", "additionalItems", "contains", "unevaluatedItems"];
/// Keywords that have a validator look at all the others of the schema again.
const UNEVALUATED: [&str; 2] = ["unevaluatedItems", "unevaluatedProperties"];
/// How often a validator looks at the others again for each of those, at most.
const LOOKS: u64 = 4;
/// Keywords that refer to a schema.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// How many schemas within one another make a fault as large as one step more.
const LEVELS_OF_A_STEP: u64 = 4;

/// What takes more steps for a value of this many bytes of text, or entries of a list, than for none.
const BYTES_OF_A_STEP: usize = 64;

/// What one value costs to be held against the schema of all schemas, of which a schema can refer to.
const OF_A_META_SCHEMA: u64 = 100;

/// How many states a pattern can have before it is too large to be compiled.
const MOST_STATES: u64 = 100_000;

/// How many steps a match may take that goes back, and how often the validator holds values against the schema anew if
/// matches do not come to an end.
const GOES_BACK: (u64, u64) = (100, 16);

/// What a schema is, apart from what values are held against it.
pub(super) struct Schema<'s> {
    root: &'s Value,
    /// What a fragment without a slash names, and the schemas with an identifier of their own.
    anchors: HashMap<&'s str, Vec<&'s Value>>,
    resources: Vec<&'s Value>,
    patterns: HashMap<&'s str, Pattern>,
    /// How many values the schema is.
    size: u64,
}

impl<'s> Schema<'s> {
    /// Looks at all of a schema.
    ///
    /// # Errors
    /// [`Exceeded`] if it has too many levels or patterns, or one that is too long.
    pub(super) fn read(root: &'s Value) -> Result<Self, Exceeded> {
        let (anchors, patterns) = (HashMap::new(), HashMap::new());
        let mut schema = Self { root, anchors, resources: vec![root], patterns, size: 0 };
        let mut rest = vec![(root, 1)];
        let mut sources = HashSet::new();
        while let Some((value, level)) = rest.pop() {
            Bound::SchemaNesting.check(level)?;
            schema.size += 1;
            match value {
                Value::Object(fields) => {
                    schema.note(value, fields, &mut sources);
                    rest.extend(fields.values().map(|field| (field, level + 1)));
                }
                Value::Array(items) => rest.extend(items.iter().map(|item| (item, level + 1))),
                _ => {}
            }
        }
        Bound::SchemaPatterns.check(sources.len())?;
        for source in sources {
            Bound::PatternLength.check(source.len())?;
            schema.patterns.insert(source, Pattern::read(source));
        }
        Ok(schema)
    }

    fn note(&mut self, schema: &'s Value, fields: &'s Map<String, Value>, sources: &mut HashSet<&'s str>) {
        for anchor in ["$anchor", "$dynamicAnchor"].iter().filter_map(|name| fields.get(*name)?.as_str()) {
            self.anchors.entry(anchor).or_default().push(schema);
        }
        if has_identifier(schema) && !std::ptr::eq(schema, self.root) {
            self.resources.push(schema);
        }
        sources.extend(fields.get("pattern").and_then(Value::as_str));
        let named = fields.get("patternProperties").and_then(Value::as_object);
        sources.extend(named.into_iter().flat_map(Map::keys).map(String::as_str));
    }

    /// Returns how many values the schema is, each of which is checked and compiled.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns how many states its patterns have at most.
    pub(super) fn states(&self) -> u64 {
        self.patterns.values().map(|pattern| pattern.weight.min(MOST_STATES)).fold(0, u64::saturating_add)
    }

    /// Returns every schema that a reference may lead to.
    pub(super) fn targets(&self, reference: &str) -> Vec<&'s Value> {
        let (identifier, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return self.anchors.get(fragment).cloned().unwrap_or_default();
        }
        let decoded = percent_decoded(fragment);
        // An identifier can only be that of a schema that has one.
        let resources = self.resources.iter().filter(|resource| identifier.is_empty() || has_identifier(resource));
        resources.filter_map(|resource| resource.pointer(&decoded)).collect()
    }

    /// Counts what it costs to hold `value` against the schema.
    ///
    /// # Errors
    /// [`Exceeded`] if schemas lead to one another too often, or too much before all is counted.
    pub(super) fn cost(&self, value: &Value) -> Result<Cost, Exceeded> {
        let mut count =
            Count { schema: self, known: HashMap::new(), sizes: HashMap::new(), visits: 0, depth: 0, alternatives: 0 };
        let cost = count.of(self.root, value)?;
        let goes_back = self.patterns.values().any(|pattern| pattern.goes_back);
        Ok(if goes_back { cost.times(GOES_BACK.1) } else { cost })
    }
}

fn has_identifier(schema: &Value) -> bool {
    ["$id", "id"].iter().any(|name| schema.get(*name).is_some_and(Value::is_string))
}

/// Decodes a fragment, as far as it is encoded.
fn percent_decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let digit = |at: usize| u8::try_from(char::from(*others.get(at)?).to_digit(16)?).ok();
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push(16 * high + low);
            rest = others.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Count<'c, 's> {
    schema: &'c Schema<'s>,
    /// What a schema that is referred to costs for a value, among alternatives or not.
    known: HashMap<(*const Value, *const Value, bool), Cost>,
    /// How large a value is.
    sizes: HashMap<*const Value, u64>,
    visits: u64,
    depth: u64,
    /// How many alternatives lie around what is looked at: what is wrong with each is kept with a copy of the value.
    alternatives: u64,
}

/// Stands for the name of a property, which no list or object is.
static NAME: Value = Value::Null;

impl Count<'_, '_> {
    fn of(&mut self, schema: &Value, value: &Value) -> Result<Cost, Exceeded> {
        let Value::Object(fields) = schema else { return Ok(Cost::same(1)) };
        self.visits += 1;
        if self.visits > Bound::SchemaSteps.most() {
            return Err(Exceeded(Bound::SchemaSteps));
        }
        self.depth += 1;
        if self.depth > Bound::SchemaDepth.most() {
            return Err(Exceeded(Bound::SchemaDepth));
        }
        let cost = self.of_fields(fields, value)?;
        self.depth -= 1;
        Ok(cost)
    }

    fn of_fields(&mut self, fields: &Map<String, Value>, value: &Value) -> Result<Cost, Exceeded> {
        let mut cost = Cost::same(self.own(fields, value));
        // A fault has the way to it, and each fault of an alternative is kept.
        cost.faults = cost.faults.saturating_add(self.depth / LEVELS_OF_A_STEP);
        if self.alternatives > 0 {
            cost.faults = cost.faults.saturating_add(self.size(value));
        }
        let mut in_place = Cost::default();
        for keyword in REFERENCES {
            if let Some(Value::String(reference)) = fields.get(keyword) {
                in_place = in_place.plus(self.of_reference(reference, value)?);
            }
        }
        for keyword in ONE_IN_PLACE {
            if let Some(inner) = fields.get(keyword) {
                let inner = self.of(inner, value)?;
                // Whether it holds is told first, and then what is wrong with it.
                in_place = in_place.plus(Cost { fits: inner.fits, faults: inner.fits.saturating_add(inner.faults) });
            }
        }
        for keyword in MANY_IN_PLACE {
            let has_alternatives = keyword != "allOf";
            self.alternatives += u64::from(has_alternatives);
            for inner in fields.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                let inner = self.of(inner, value)?;
                let faults = if has_alternatives { inner.fits.saturating_add(inner.faults) } else { inner.faults };
                in_place = in_place.plus(Cost { fits: inner.fits, faults });
            }
            self.alternatives -= u64::from(has_alternatives);
        }
        for keyword in NAMED_IN_PLACE {
            for inner in fields.get(keyword).and_then(Value::as_object).into_iter().flat_map(Map::values) {
                in_place = in_place.plus(self.of(inner, value)?);
            }
        }
        match value {
            Value::Object(properties) => cost = cost.plus(self.of_properties(fields, properties)?),
            Value::Array(items) => cost = cost.plus(self.of_items(fields, items)?),
            _ => {}
        }
        let again = UNEVALUATED.iter().filter(|keyword| fields.contains_key(**keyword)).count();
        let looks = u64::try_from(again).unwrap_or_default().saturating_mul(LOOKS) + 1;
        Ok(cost.plus(in_place).times(looks))
    }

    fn of_properties(
        &mut self,
        fields: &Map<String, Value>,
        properties: &Map<String, Value>,
    ) -> Result<Cost, Exceeded> {
        let mut cost = Cost::default();
        let declared = fields.get("properties").and_then(Value::as_object);
        for (name, inner) in declared.into_iter().flatten() {
            cost = cost.plus(Cost::same(1));
            if let Some(property) = properties.get(name) {
                cost = cost.plus(self.of(inner, property)?);
            }
        }
        for (pattern, inner) in fields.get("patternProperties").and_then(Value::as_object).into_iter().flatten() {
            for (name, property) in properties {
                cost = cost.plus(Cost::same(self.of_match(pattern, name))).plus(self.of(inner, property)?);
            }
        }
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            let Some(inner) = fields.get(keyword) else { continue };
            for (name, property) in properties {
                if keyword != "additionalProperties" || declared.is_none_or(|declared| !declared.contains_key(name)) {
                    cost = cost.plus(self.of(inner, property)?);
                }
            }
        }
        if let Some(inner) = fields.get("propertyNames") {
            let longest = properties.keys().map(String::len).max().unwrap_or_default();
            let each = self.of(inner, &NAME)?.plus(Cost::same(self.most_of_a_match(longest)));
            cost = cost.plus(each.times(u64::try_from(properties.len()).unwrap_or(u64::MAX)));
        }
        Ok(cost)
    }

    fn of_items(&mut self, fields: &Map<String, Value>, items: &[Value]) -> Result<Cost, Exceeded> {
        let mut cost = Cost::default();
        let lists = ["prefixItems", "items"].iter().filter_map(|keyword| fields.get(*keyword)?.as_array());
        for (inner, item) in lists.flat_map(|list| list.iter().zip(items)) {
            cost = cost.plus(self.of(inner, item)?);
        }
        for inner in OF_ITEMS.iter().filter_map(|keyword| fields.get(*keyword)).filter(|inner| !inner.is_array()) {
            for item in items {
                cost = cost.plus(self.of(inner, item)?);
            }
        }
        Ok(cost)
    }

    fn of_reference(&mut self, reference: &str, value: &Value) -> Result<Cost, Exceeded> {
        let mut cost = Cost::default();
        for target in self.schema.targets(reference) {
            let key = (std::ptr::from_ref(target), std::ptr::from_ref(value), self.alternatives > 0);
            let counted = match self.known.get(&key).copied() {
                Some(known) => known,
                None => self.of(target, value)?,
            };
            self.known.insert(key, counted);
            cost = cost.plus(counted);
        }
        // The only schemas that a reference finds elsewhere are those that the validator brings along.
        if reference.contains("json-schema.org") {
            cost = cost.plus(Cost::same(self.values(value)?.saturating_mul(OF_A_META_SCHEMA)));
        }
        Ok(cost)
    }

    /// Returns how large a value is: how many values it has in it, or 64 bytes each of their texts.
    fn size(&mut self, value: &Value) -> u64 {
        let text = |text: &str| u64::try_from(text.len() / BYTES_OF_A_STEP).unwrap_or(u64::MAX);
        let own = match value {
            Value::Array(_) | Value::Object(_) => match self.sizes.get(&std::ptr::from_ref(value)) {
                Some(known) => return *known,
                None => 1,
            },
            Value::String(string) => 1 + text(string),
            _ => 1,
        };
        let size = match value {
            Value::Array(items) => items.iter().fold(own, |size, item| size.saturating_add(self.size(item))),
            Value::Object(fields) => fields
                .iter()
                .fold(own, |size, (name, field)| size.saturating_add(text(name)).saturating_add(self.size(field))),
            _ => return own,
        };
        self.sizes.insert(std::ptr::from_ref(value), size);
        size
    }

    /// Counts the values of a value, which is not nested any deeper than schemas may be.
    fn values(&mut self, value: &Value) -> Result<u64, Exceeded> {
        let mut rest = vec![(value, 1)];
        let mut values = 0;
        while let Some((value, level)) = rest.pop() {
            Bound::SchemaNesting.check(level)?;
            values += 1;
            match value {
                Value::Object(fields) => rest.extend(fields.values().map(|field| (field, level + 1))),
                Value::Array(items) => rest.extend(items.iter().map(|item| (item, level + 1))),
                _ => {}
            }
        }
        self.visits += values;
        Ok(values)
    }

    /// Counts the steps of the keywords that lead to no other schema.
    fn own(&self, fields: &Map<String, Value>, value: &Value) -> u64 {
        let entries = |keyword: &str| fields.get(keyword).and_then(Value::as_array).map_or(0, Vec::len);
        let listed = entries("enum") + entries("required");
        let long = match value {
            Value::String(text) => text.len() / BYTES_OF_A_STEP,
            Value::Array(items) if fields.contains_key("uniqueItems") => items.len(),
            _ => 0,
        };
        let matched = match (fields.get("pattern"), value) {
            (Some(Value::String(pattern)), Value::String(text)) => self.of_match(pattern, text),
            _ => 0,
        };
        u64::try_from(1 + listed + long).unwrap_or(u64::MAX).saturating_add(matched)
    }

    fn of_match(&self, pattern: &str, text: &str) -> u64 {
        self.schema.patterns.get(pattern).map_or(1, |pattern| steps(pattern, text.len()))
    }

    fn most_of_a_match(&self, length: usize) -> u64 {
        self.schema.patterns.values().map(|pattern| steps(pattern, length)).max().unwrap_or_default()
    }
}

fn steps(pattern: &Pattern, length: usize) -> u64 {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let forward = length.saturating_mul(pattern.weight) / 64 + 1;
    if pattern.goes_back { forward.saturating_add(GOES_BACK.0) } else { forward }
}
