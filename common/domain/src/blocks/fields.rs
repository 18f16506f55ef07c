//! The fields of a block schema: taken apart where they are kept, and put together again where they are answered.
//!
//! The schema of a block within the block is a record of its own, that of its own type. What is kept of the outer one names
//! it, and has no definition of it.

use std::collections::{HashMap, HashSet};

use error::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::checksum::checksum;
use crate::model::{BlockSchema, BlockSchemaId, Object};

/// What a definition's name stands behind where it is referred to.
const DEFINITION: &str = "#/definitions/";

/// The fields of a new schema.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFields {
    /// Their checksum.
    pub checksum: String,
    /// What is kept of them.
    pub kept: Object,
    /// What is answered to who sends them.
    pub answered: Object,
    /// The schemas of the blocks within the block, by the fields that hold these.
    pub references: Vec<(String, SchemaReference)>,
    /// All definitions that came with them, or with those of the block around; nothing where none were sent.
    pub definitions: Option<Object>,
}

/// A schema as another one names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct SchemaReference {
    /// The checksum of its fields.
    #[serde(rename = "block_schema_checksum")]
    pub checksum: String,
    /// The slug of its type.
    #[serde(rename = "block_type_slug")]
    pub slug: String,
}

impl NewFields {
    /// Takes apart the `fields` of a schema that come by themselves, or with the `definitions` of the schema around.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] where what they say of blocks within the block is malformed; Prefect breaks down on it.
    pub fn new(fields: &Object, definitions: Option<&Object>) -> Result<Self> {
        let definitions = definitions.filter(|given| !given.is_empty()).cloned().or_else(|| own_definitions(fields));
        let given = definitions.as_ref().filter(|given| !given.is_empty());
        let mut kept = fields.clone();
        if let Some(given) = given {
            kept.insert("definitions".into(), given.clone().into());
        }
        let checksum = checksum(&kept);
        if let Some(given) = given {
            let others = non_block_definitions(&kept, given);
            if others.is_empty() {
                kept.shift_remove("definitions");
            } else {
                kept.insert("definitions".into(), others.into());
            }
        }
        let sent = kept.shift_remove("block_schema_references").unwrap_or_else(|| json!({}));
        let mut answered = kept.clone();
        answered.insert("block_schema_references".into(), sent.clone());
        if let Some(definitions) = &definitions {
            answered.insert("definitions".into(), definitions.clone().into());
        }
        Ok(Self { checksum, kept, answered, references: references(sent)?, definitions })
    }

    /// Returns the fields of the block of type `slug` that `field` holds, as they are defined.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] if no definition says them; Prefect breaks down then.
    pub fn of_child(&self, field: &str, slug: &str) -> Result<Object> {
        let definitions = self.definitions.as_ref();
        let property = self.kept.get("properties").and_then(|properties| properties.get(field));
        let defined_as = property.map(referred).unwrap_or_default();
        let definition = |name: &String| definitions?.get(name)?.as_object();
        let is_of_type = |fields: &&Object| fields.get("block_type_slug").and_then(Value::as_str) == Some(slug);
        let found = match &defined_as[..] {
            [name] => definition(name),
            names => names.iter().filter_map(definition).find(is_of_type),
        };
        found.cloned().ok_or_else(|| {
            Error::Unprocessable(format!("No definition says the fields of the {slug} block that {field} holds."))
        })
    }
}

fn own_definitions(fields: &Object) -> Option<Object> {
    fields.get("definitions").and_then(Value::as_object).cloned()
}

fn references(sent: Value) -> Result<Vec<(String, SchemaReference)>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(SchemaReference),
        More(Vec<SchemaReference>),
    }
    let malformed = |error: serde_json::Error| {
        Error::Unprocessable(format!("The references to the schemas of blocks within the block are malformed: {error}"))
    };
    let Value::Object(sent) = sent else {
        return Err(Error::Unprocessable("The references to schemas have to make up an object.".into()));
    };
    let mut references = Vec::new();
    for (field, value) in sent {
        match serde_json::from_value(value).map_err(malformed)? {
            OneOrMore::One(reference) => references.push((field, reference)),
            OneOrMore::More(list) => references.extend(list.into_iter().map(|reference| (field.clone(), reference))),
        }
    }
    Ok(references)
}

/// Returns those of `definitions` that `object` refers to and that are no blocks, with those that they refer to in turn.
pub fn non_block_definitions(object: &Object, definitions: &Object) -> Object {
    let mut found = Object::new();
    let mut pending = referred(&Value::Object(object.clone()));
    let mut seen: HashSet<String> = HashSet::new();
    while let Some(name) = pending.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(definition) = definitions.get(&name).filter(|definition| is_no_block(definition)) else { continue };
        pending.extend(referred(definition));
        found.insert(name, definition.clone());
    }
    found
}

fn is_no_block(definition: &Value) -> bool {
    definition
        .as_object()
        .is_some_and(|fields| !fields.is_empty() && fields.get("block_type_slug").is_none_or(Value::is_null))
}

/// Returns the names of the definitions that are referred to anywhere in `value`.
fn referred(value: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(name)) = fields.get("$ref") {
                    names.push(name.replace(DEFINITION, ""));
                }
                pending.extend(fields.values());
            }
            Value::Array(items) => pending.extend(items),
            _ => {}
        }
    }
    names
}

/// Puts the fields of schemas together; each is put together once.
#[derive(Debug)]
pub struct Together<'s> {
    schemas: &'s HashMap<BlockSchemaId, BlockSchema>,
    done: HashMap<BlockSchemaId, Object>,
}

impl<'s> Together<'s> {
    /// Takes the schemas that there are; those that another one names and are not among them are gone.
    pub fn new(schemas: &'s HashMap<BlockSchemaId, BlockSchema>) -> Self {
        Self { schemas, done: HashMap::new() }
    }

    /// Returns the fields of `schema`, with the definitions of the blocks within the block.
    pub fn fields(&mut self, schema: &BlockSchema) -> Object {
        // Children first, without recursion: who names whom is the client's.
        let mut pending = vec![schema];
        let mut begun: HashSet<BlockSchemaId> = HashSet::new();
        while let Some(schema) = pending.last().copied() {
            let children = schema.references.iter().filter_map(|reference| self.schemas.get(&reference.id));
            let missing: Vec<_> =
                children.filter(|child| !self.done.contains_key(&child.id) && !begun.contains(&child.id)).collect();
            begun.insert(schema.id);
            if missing.is_empty() {
                let fields = self.one(schema);
                self.done.insert(schema.id, fields);
                pending.pop();
            } else {
                pending.extend(missing);
            }
        }
        self.done.get(&schema.id).cloned().unwrap_or_default()
    }

    /// Puts the fields of a schema together whose children are done.
    fn one(&self, schema: &BlockSchema) -> Object {
        let (mut references, mut definitions) = (Map::new(), Map::new());
        let mut children: Vec<_> = schema
            .references
            .iter()
            .filter_map(|reference| Some((reference, self.schemas.get(&reference.id)?)))
            .collect();
        // Of several schemas for one field the oldest comes first, in whichever order they were sent, as in Prefect.
        children.sort_by_key(|(_, child)| (child.created, child.id));
        for (reference, child) in children {
            let named = json!({
                "block_schema_checksum": child.checksum,
                "block_type_slug": child.block_type_slug,
            });
            match references.get_mut(&reference.name) {
                None => {
                    references.insert(reference.name.clone(), named);
                }
                Some(Value::Array(list)) if list.contains(&named) => {}
                Some(Value::Array(list)) => list.push(named),
                Some(first) if *first == named => {}
                Some(first) => *first = json!([first, named]),
            }
            let Some(mut fields) = self.done.get(&child.id).cloned() else { continue };
            let of_child = fields.shift_remove("definitions");
            if let Some(Value::String(title)) = fields.get("title").cloned() {
                definitions.insert(title, Value::Object(fields));
                if let Some(Value::Object(of_child)) = of_child {
                    definitions.extend(of_child);
                }
            }
        }
        let mut fields = schema.fields.clone();
        fields.insert("block_schema_references".into(), references.into());
        let own = own_definitions(&fields).unwrap_or_default();
        if !definitions.is_empty() || !own.is_empty() {
            let all: Object = own.into_iter().chain(definitions).collect();
            fields.insert("definitions".into(), all.into());
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BlockTypeId, Timestamp, block_schema::BlockSchemaReference};

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    fn outer() -> Object {
        object(json!({
            "title": "Outer", "type": "object", "block_type_slug": "outer",
            "properties": {"inner": {"$ref": "#/definitions/Inner"}, "kind": {"allOf": [{"$ref": "#/definitions/Kind"}]}},
            "definitions": {
                "Inner": {"title": "Inner", "block_type_slug": "inner", "block_schema_references": {}},
                "Kind": {"enum": ["a"], "next": {"$ref": "#/definitions/Kind"}},
                "Unused": {"enum": ["b"]},
            },
            "block_schema_references": {"inner": {"block_schema_checksum": "sha256:i", "block_type_slug": "inner"}},
        }))
    }

    fn schema(title: &str, references: Vec<BlockSchemaReference>) -> BlockSchema {
        let now = Timestamp::now();
        BlockSchema {
            id: BlockSchemaId::new(),
            created: now,
            updated: now,
            checksum: format!("sha256:{title}"),
            fields: object(json!({"title": title})),
            block_type_id: BlockTypeId::new(),
            block_type_slug: title.to_lowercase(),
            capabilities: Vec::new(),
            version: "1".into(),
            references,
        }
    }

    #[test]
    fn what_is_kept_has_the_definitions_that_are_no_blocks() {
        let new = NewFields::new(&outer(), None).unwrap();
        let kept: Vec<&String> = new.kept["definitions"].as_object().unwrap().keys().collect();
        assert_eq!(kept, ["Kind"]);
        assert!(new.kept.get("block_schema_references").is_none());
        assert_eq!(new.answered["definitions"], outer()["definitions"]);
        let inner = SchemaReference { checksum: "sha256:i".into(), slug: "inner".into() };
        assert_eq!(new.references, [("inner".to_owned(), inner)]);
        assert_eq!(new.of_child("inner", "inner").unwrap()["title"], "Inner");
        assert!(new.of_child("other", "inner").is_err());
    }

    #[test]
    fn of_several_definitions_that_of_the_type_is_taken() {
        let fields = object(json!({
            "properties": {"inner": {"anyOf": [{"$ref": "#/definitions/A"}, {"$ref": "#/definitions/B"}]}},
            "definitions": {"A": {"block_type_slug": "a"}, "B": {"block_type_slug": "b", "title": "B"}},
        }));
        let new = NewFields::new(&fields, None).unwrap();
        assert_eq!(new.of_child("inner", "b").unwrap()["title"], "B");
        assert!(new.of_child("inner", "c").is_err());
    }

    #[test]
    fn malformed_references_are_refused() {
        for wrong in [json!(null), json!([]), json!({"a": {}}), json!({"a": [1]}), json!({"a": "b"})] {
            let fields = object(json!({"block_schema_references": wrong}));
            assert!(NewFields::new(&fields, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_answered_has_the_definitions_of_the_blocks_within() {
        let leaf = schema("Leaf", Vec::new());
        let middle = schema("Middle", vec![BlockSchemaReference { name: "leaf".into(), id: leaf.id }]);
        let gone = BlockSchemaReference { name: "gone".into(), id: BlockSchemaId::new() };
        let of = |name: &str, schema: &BlockSchema| BlockSchemaReference { name: name.into(), id: schema.id };
        let root = schema("Root", vec![of("one", &middle), of("many", &leaf), of("many", &middle), gone]);
        let schemas = [leaf, middle, root.clone()].into_iter().map(|schema| (schema.id, schema)).collect();
        let fields = Together::new(&schemas).fields(&root);
        let named = |title: &str| json!({"block_schema_checksum": format!("sha256:{title}"), "block_type_slug": title.to_lowercase()});
        assert_eq!(
            fields["block_schema_references"],
            json!({"one": named("Middle"), "many": [named("Leaf"), named("Middle")]})
        );
        assert_eq!(
            fields["definitions"],
            json!({
                "Middle": {"title": "Middle", "block_schema_references": {"leaf": named("Leaf")}},
                "Leaf": {"title": "Leaf", "block_schema_references": {}},
            })
        );
    }

    #[test]
    fn schemas_that_name_one_another_many_times_over_are_put_together_once_each() {
        let mut schemas = HashMap::new();
        let mut below: Option<BlockSchema> = None;
        for level in 0..60 {
            let references = below
                .iter()
                .flat_map(|below| ["a", "b", "c"].map(|name| BlockSchemaReference { name: name.into(), id: below.id }));
            let one = schema(&format!("Level{level}"), references.collect());
            schemas.insert(one.id, one.clone());
            below = Some(one);
        }
        let fields = Together::new(&schemas).fields(&below.unwrap());
        assert_eq!(fields["definitions"].as_object().unwrap().len(), 59);
    }
}
