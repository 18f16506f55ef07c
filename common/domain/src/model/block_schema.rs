//! Block schemas: which fields the blocks of a type have.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{BlockType, BlockTypeId, Named, Object, Timestamp, id::typed_id};
use crate::events::Lifecycle;

typed_id! {
    /// The id of a block schema.
    BlockSchemaId
}

/// A version of the schema of a block type, known by its checksum and version.
///
/// The schemas of blocks within the block are records of their own, so the fields are kept without them and put together
/// again where they are answered ([`crate::blocks::fields`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockSchema {
    /// The schema's id.
    pub id: BlockSchemaId,
    /// When the schema was made.
    pub created: Timestamp,
    /// When the schema was last changed: when it was made.
    pub updated: Timestamp,
    /// What is made of the fields, the same for the same fields.
    pub checksum: String,
    /// The fields, without the schemas of blocks within the block.
    #[serde(default)]
    pub fields: Object,
    /// The type.
    pub block_type_id: BlockTypeId,
    /// The type's slug, which never changes.
    pub block_type_slug: String,
    /// What blocks with this schema can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The version, of those with this checksum.
    pub version: String,
    /// The schemas of the blocks within the block; one that was deleted counts for nothing.
    #[serde(default)]
    pub references: Vec<BlockSchemaReference>,
}

/// The schema of a block that is within another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSchemaReference {
    /// The field that holds the block.
    pub name: String,
    /// The schema.
    pub id: BlockSchemaId,
}

impl Named for BlockSchema {
    fn uuid(&self) -> Uuid {
        self.id.0
    }

    fn name(&self) -> &str {
        &self.checksum
    }

    fn created(&self) -> Timestamp {
        self.created
    }

    fn updated(&self) -> Timestamp {
        self.updated
    }
}

impl Lifecycle for BlockSchema {
    const RESOURCE: &'static str = "block-schema";
}

impl BlockSchema {
    /// Returns the names of the fields whose values are secret, with dots and wildcards.
    pub fn secret_fields(&self) -> impl Iterator<Item = &str> {
        let names = self.fields.get("secret_fields").and_then(serde_json::Value::as_array);
        names.into_iter().flatten().filter_map(serde_json::Value::as_str)
    }
}

/// A schema as it is answered (contract schema `BlockSchema`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockSchemaResponse {
    /// The schema's id.
    pub id: BlockSchemaId,
    /// When the schema was made.
    pub created: Timestamp,
    /// When the schema was last changed.
    pub updated: Timestamp,
    /// What is made of the fields.
    pub checksum: String,
    /// The fields, with the schemas of blocks within the block.
    pub fields: Object,
    /// The type's id.
    pub block_type_id: BlockTypeId,
    /// The type.
    pub block_type: Option<BlockType>,
    /// What blocks with this schema can do.
    pub capabilities: Vec<String>,
    /// The version.
    pub version: String,
}

impl BlockSchemaResponse {
    /// Answers `schema` with `fields`, which are put together.
    pub fn new(schema: &BlockSchema, fields: Object, block_type: Option<BlockType>) -> Self {
        Self {
            id: schema.id,
            created: schema.created,
            updated: schema.updated,
            checksum: schema.checksum.clone(),
            fields,
            block_type_id: schema.block_type_id,
            block_type,
            capabilities: schema.capabilities.clone(),
            version: schema.version.clone(),
        }
    }
}
