//! Block documents: the blocks themselves, whose data may be secret.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    BlockSchemaId, BlockSchemaResponse, BlockType, BlockTypeId, DataKeyId, Object, Timestamp, id::typed_id, named,
};
use crate::events::Lifecycle;

typed_id! {
    /// The id of a block document.
    BlockDocumentId
}

/// A block document, known by its unique name among those of its type.
///
/// All of its data is sealed, whether or not the schema calls it secret: what is secret is known only from the schema, which
/// may be wrong about it and may be changed. What events tell of it is kept in the open beside it, for they do so as well;
/// so neither a deletion nor the stream's consumer has to open anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockDocument {
    /// The document's id.
    pub id: BlockDocumentId,
    /// When the document was made.
    pub created: Timestamp,
    /// When the document was last changed.
    pub updated: Timestamp,
    /// The unique name among those of the type; that of an anonymous document may be made up.
    pub name: String,
    /// Whether the document is shown only to who asks for it; no events tell of it.
    #[serde(default)]
    pub is_anonymous: bool,
    /// The schema.
    pub block_schema_id: BlockSchemaId,
    /// The type.
    pub block_type_id: BlockTypeId,
    /// The type's name, which never changes.
    pub block_type_name: String,
    /// The documents within it; one that was deleted counts for nothing.
    #[serde(default)]
    pub references: Vec<BlockDocumentReference>,
    /// The data, but for the documents within it.
    pub data: Sealed,
    /// What events tell of the data.
    #[serde(default)]
    pub told: Told,
}

/// A document that is within another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDocumentReference {
    /// The field that holds it.
    pub name: String,
    /// The document.
    pub id: BlockDocumentId,
}

/// A text that only the holder of a key can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The key that it was sealed with.
    pub key: DataKeyId,
    /// The sealed text, in base64, behind its nonce.
    pub text: String,
}

/// What events tell of a document's data: nothing that its schema calls secret, or that one before it did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The texts among the values.
    #[serde(default)]
    pub data: Object,
    /// What the schema says that the block can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The fields that were secret at some time, and so are never told of.
    #[serde(default)]
    pub never: Vec<String>,
}

/// How many bytes of a document's texts are kept for events at most; of more than that, none are told of.
///
/// They are in the item a second time, besides the sealed data.
pub const MOST_TOLD: usize = 32 * 1024;

named!(BlockDocument);

impl Lifecycle for BlockDocument {
    const RESOURCE: &'static str = "block-document";

    fn is_told(&self) -> bool {
        !self.is_anonymous
    }

    fn related(&self) -> Vec<Value> {
        vec![
            json!({
                "prefect.resource.id": format!("prefect.block-type.{}", self.block_type_id),
                "prefect.resource.role": "block-type",
                "prefect.resource.name": self.block_type_name,
            }),
            json!({
                "prefect.resource.id": format!("prefect.block-schema.{}", self.block_schema_id),
                "prefect.resource.role": "block-schema",
            }),
        ]
    }

    fn payload(&self) -> Value {
        json!({
            "name": self.name,
            "data": self.told.data,
            "block_schema": {
                "capabilities": self.told.capabilities,
                "block_type": { "id": self.block_type_id, "name": self.block_type_name },
            },
        })
    }
}

impl BlockDocument {
    /// Returns what the sealed data is bound to, so that it can't be put under another document.
    pub fn seal_context(id: BlockDocumentId) -> String {
        format!("block_document#{id}")
    }

    /// Returns the name of an anonymous document that came without one.
    pub fn made_up_name() -> String {
        format!("anonymous-{}", Uuid::new_v4())
    }
}

/// A document as it is answered (contract schema `BlockDocument`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockDocumentResponse {
    /// The document's id.
    pub id: BlockDocumentId,
    /// When the document was made.
    pub created: Timestamp,
    /// When the document was last changed.
    pub updated: Timestamp,
    /// The name.
    pub name: String,
    /// The data, with that of the documents within it.
    pub data: Object,
    /// The schema's id.
    pub block_schema_id: BlockSchemaId,
    /// The schema.
    pub block_schema: BlockSchemaResponse,
    /// The type's id.
    pub block_type_id: BlockTypeId,
    /// The type's name.
    pub block_type_name: String,
    /// The type.
    pub block_type: BlockType,
    /// The documents within it, by their fields.
    pub block_document_references: Object,
    /// Whether the document is shown only to who asks for it.
    pub is_anonymous: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::lifecycle;

    fn document() -> BlockDocument {
        let now = Timestamp::now();
        let told = Told { data: Object::from_iter([("user".into(), "u".into())]), ..Told::default() };
        BlockDocument {
            id: BlockDocumentId::new(),
            created: now,
            updated: now,
            name: "one".into(),
            is_anonymous: false,
            block_schema_id: BlockSchemaId::new(),
            block_type_id: BlockTypeId::new(),
            block_type_name: "Type".into(),
            references: Vec::new(),
            data: Sealed { key: DataKeyId::new(), text: "c2VhbGVk".into() },
            told,
        }
    }

    #[test]
    fn events_tell_what_may_be_told_and_nothing_that_is_sealed() {
        let event = lifecycle::created(&document(), 1).unwrap();
        let text = json!(event).to_string();
        assert_eq!(json!(event.payload["data"]), json!({"user": "u"}));
        assert_eq!(event.related.len(), 2);
        assert!(!text.contains("c2VhbGVk"), "{text}");
    }

    #[test]
    fn nothing_is_told_of_an_anonymous_document() {
        let anonymous = BlockDocument { is_anonymous: true, ..document() };
        assert!(lifecycle::events(None, &anonymous, 1).unwrap().is_empty());
        assert_eq!(lifecycle::events(None, &document(), 1).unwrap().len(), 1);
    }
}
