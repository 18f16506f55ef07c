//! The filter of block schemas.

use serde::{Deserialize, Serialize};

use super::{membership::AnyOf, operator::Operator};
use crate::model::{BlockSchema, BlockSchemaId, BlockTypeId};

/// Filters block schemas (contract schema `BlockSchemaFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlockSchemaFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the id of the schema's type.
    pub block_type_id: Option<AnyOf<BlockTypeId>>,
    /// On what blocks with the schema can do.
    pub block_capabilities: Option<Capabilities>,
    /// On the schema's id.
    pub id: Option<AnyOf<BlockSchemaId>>,
    /// On the schema's version.
    pub version: Option<AnyOf<String>>,
}

/// A filter object on capabilities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capabilities {
    /// What the block must be able to do, all of it; an empty list says nothing.
    #[serde(rename = "all_")]
    pub all: Option<Vec<String>>,
}

impl BlockSchemaFilter {
    /// Tells whether the filter selects `schema`.
    pub fn matches(&self, schema: &BlockSchema) -> bool {
        let can_do = |wanted: &Capabilities| {
            wanted.all.iter().flatten().all(|wanted| schema.capabilities.iter().any(|capability| capability == wanted))
        };
        self.operator.combine([
            self.block_type_id.as_ref().map(|filter| filter.matches(Some(&schema.block_type_id))),
            self.block_capabilities.as_ref().map(can_do),
            self.id.as_ref().map(|filter| filter.matches(Some(&schema.id))),
            self.version.as_ref().map(|filter| filter.matches(Some(schema.version.as_str()))),
        ])
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[BlockSchemaId]> {
        self.bound(self.id.as_ref()?.any.as_deref())
    }

    /// Returns the ids of the types of which every match has one.
    pub fn types(&self) -> Option<&[BlockTypeId]> {
        self.bound(self.block_type_id.as_ref()?.any.as_deref())
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        let present = [
            self.block_type_id.is_some(),
            self.block_capabilities.is_some(),
            self.id.is_some(),
            self.version.is_some(),
        ];
        self.operator.bound(&present, bound)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Object, Timestamp};

    fn parse(filter: Value) -> BlockSchemaFilter {
        serde_json::from_value(filter).unwrap()
    }

    #[test]
    fn follows_the_truth_table() {
        let now = Timestamp::now();
        let schema = BlockSchema {
            id: BlockSchemaId::new(),
            created: now,
            updated: now,
            checksum: "sha256:1".into(),
            fields: Object::new(),
            block_type_id: BlockTypeId::new(),
            block_type_slug: "type".into(),
            capabilities: vec!["read-path".into(), "write-path".into()],
            version: "1".into(),
            references: Vec::new(),
        };
        let table = [
            (json!({}), true),
            (json!({"id": {"any_": [schema.id]}}), true),
            (json!({"id": {"any_": []}}), false),
            (json!({"block_type_id": {"any_": [schema.block_type_id]}}), true),
            (json!({"block_type_id": {"any_": [BlockTypeId::new()]}}), false),
            (json!({"block_capabilities": {"all_": ["write-path", "read-path"]}}), true),
            (json!({"block_capabilities": {"all_": ["write-path", "get-directory"]}}), false),
            (json!({"block_capabilities": {"all_": []}}), true),
            (json!({"version": {"any_": ["1"]}}), true),
            (json!({"version": {"any_": ["2"]}, "id": {"any_": [schema.id]}}), false),
            (json!({"version": {"any_": ["2"]}, "id": {"any_": [schema.id]}, "operator": "or_"}), true),
        ];
        for (filter, expected) in table {
            assert_eq!(parse(filter.clone()).matches(&schema), expected, "{filter}");
        }
    }

    #[test]
    fn bounds_respect_the_operator() {
        let id = BlockSchemaId::new();
        let mut filter = json!({"id": {"any_": [id]}, "version": {}});
        assert_eq!(parse(filter.clone()).ids(), Some([id].as_slice()));
        filter["operator"] = json!("or_");
        assert_eq!(parse(filter).ids(), None);
    }
}
