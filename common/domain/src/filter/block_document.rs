//! The filter and the sort of block documents.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{membership::AnyOf, name::NameFilter, operator::Operator, sort::Direction};
use crate::model::{BlockDocument, BlockDocumentId, BlockTypeId};

/// Filters block documents (contract schema `BlockDocumentFilter`).
///
/// One that says nothing of anonymous documents leaves them out; a null takes them in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlockDocumentFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the document's id.
    pub id: Option<AnyOf<BlockDocumentId>>,
    /// On whether the document is anonymous.
    pub is_anonymous: Option<IsAnonymous>,
    /// On the id of the document's type.
    pub block_type_id: Option<AnyOf<BlockTypeId>>,
    /// On the document's name.
    pub name: Option<NameFilter>,
}

impl Default for BlockDocumentFilter {
    fn default() -> Self {
        Self {
            operator: Operator::default(),
            id: None,
            is_anonymous: Some(IsAnonymous { eq: Some(false) }),
            block_type_id: None,
            name: None,
        }
    }
}

/// A filter object on whether a document is anonymous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IsAnonymous {
    /// Whether it must be; nothing takes in both.
    #[serde(rename = "eq_")]
    pub eq: Option<bool>,
}

impl BlockDocumentFilter {
    /// Returns the filter that selects `id` and nothing else.
    pub fn of_ids(ids: Vec<BlockDocumentId>) -> Self {
        Self { id: Some(AnyOf { any: Some(ids) }), is_anonymous: None, ..Self::default() }
    }

    /// Returns the filter that selects the documents of a type that are not anonymous.
    pub fn of_type(block_type: BlockTypeId) -> Self {
        Self { block_type_id: Some(AnyOf { any: Some(vec![block_type]) }), ..Self::default() }
    }

    /// Tells whether the filter selects `document`.
    pub fn matches(&self, document: &BlockDocument) -> bool {
        self.operator.combine([
            self.id.as_ref().map(|filter| filter.matches(Some(&document.id))),
            self.is_anonymous.map(|filter| filter.eq.is_none_or(|wanted| wanted == document.is_anonymous)),
            self.block_type_id.as_ref().map(|filter| filter.matches(Some(&document.block_type_id))),
            self.name.as_ref().map(|filter| filter.matches(&document.name)),
        ])
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[BlockDocumentId]> {
        self.bound(self.id.as_ref()?.any.as_deref())
    }

    /// Returns the ids of the types of which every match has one.
    pub fn types(&self) -> Option<&[BlockTypeId]> {
        self.bound(self.block_type_id.as_ref()?.any.as_deref())
    }

    /// Returns the names of which every match has one.
    pub fn names(&self) -> Option<&[String]> {
        self.bound(self.name.as_ref()?.any.as_deref())
    }

    /// Returns whether every match is anonymous, or none is; nothing where there may be both.
    pub fn anonymity(&self) -> Option<bool> {
        self.bound(self.is_anonymous?.eq)
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        let present =
            [self.id.is_some(), self.is_anonymous.is_some(), self.block_type_id.is_some(), self.name.is_some()];
        self.operator.bound(&present, bound)
    }
}

/// How block documents are sorted (contract schema `BlockDocumentSort`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BlockDocumentSort {
    /// By name, backwards.
    NameDesc,
    /// By name.
    #[default]
    NameAsc,
    /// By the type's name, and then by name.
    BlockTypeAndNameAsc,
}

impl BlockDocumentSort {
    /// Returns which way the sort goes.
    pub fn direction(self) -> Direction {
        match self {
            Self::NameDesc => Direction::Descending,
            Self::NameAsc | Self::BlockTypeAndNameAsc => Direction::Ascending,
        }
    }

    /// Returns which of two documents comes first.
    pub fn compare(self, a: &BlockDocument, b: &BlockDocument) -> Ordering {
        let by_type = match self {
            Self::BlockTypeAndNameAsc => a.block_type_name.cmp(&b.block_type_name),
            Self::NameDesc | Self::NameAsc => Ordering::Equal,
        };
        let ascending = by_type.then_with(|| a.name.cmp(&b.name)).then_with(|| a.id.cmp(&b.id));
        match self.direction() {
            Direction::Ascending => ascending,
            Direction::Descending => ascending.reverse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{BlockSchemaId, DataKeyId, Timestamp, block_document::Sealed};

    fn parse(filter: Value) -> BlockDocumentFilter {
        serde_json::from_value(filter).unwrap()
    }

    fn document(name: &str, type_name: &str, is_anonymous: bool) -> BlockDocument {
        let now = Timestamp::now();
        BlockDocument {
            id: BlockDocumentId::new(),
            created: now,
            updated: now,
            name: name.into(),
            is_anonymous,
            block_schema_id: BlockSchemaId::new(),
            block_type_id: BlockTypeId::new(),
            block_type_name: type_name.into(),
            references: Vec::new(),
            data: Sealed { key: DataKeyId::new(), text: String::new() },
            told: crate::model::block_document::Told::default(),
        }
    }

    #[test]
    fn follows_the_truth_table() {
        let (named, anonymous) = (document("my-block", "T", false), document("anonymous-1", "T", true));
        let table = [
            (json!({}), true, false),
            (json!({"is_anonymous": null}), true, true),
            (json!({"is_anonymous": {}}), true, true),
            (json!({"is_anonymous": {"eq_": true}}), false, true),
            (json!({"id": {"any_": [named.id, anonymous.id]}}), true, false),
            (json!({"id": {"any_": [anonymous.id]}, "operator": "or_"}), true, true),
            (json!({"id": {"any_": [anonymous.id]}, "is_anonymous": null, "operator": "or_"}), false, true),
            (json!({"block_type_id": {"any_": [named.block_type_id]}}), true, false),
            (json!({"name": {"like_": "MY"}}), true, false),
            (json!({"name": {"any_": ["anonymous-1"]}, "is_anonymous": null}), false, true),
        ];
        for (filter, of_named, of_anonymous) in table {
            let parsed = parse(filter.clone());
            assert_eq!((parsed.matches(&named), parsed.matches(&anonymous)), (of_named, of_anonymous), "{filter}");
        }
    }

    #[test]
    fn bounds_respect_the_operator() {
        assert_eq!(parse(json!({})).anonymity(), Some(false));
        assert_eq!(parse(json!({"operator": "or_"})).anonymity(), Some(false));
        assert_eq!(parse(json!({"operator": "or_", "name": {"any_": ["a"]}})).anonymity(), None);
        assert_eq!(parse(json!({"operator": "or_", "name": {"any_": ["a"]}})).names(), None);
        assert_eq!(parse(json!({"name": {"any_": ["a"]}})).names(), Some(["a".to_owned()].as_slice()));
        assert_eq!(parse(json!({"is_anonymous": {}})).anonymity(), None);
    }

    #[test]
    fn sorts_by_name_or_by_type_first() {
        let (a, b) = (document("a", "Z", false), document("b", "Y", false));
        assert_eq!(BlockDocumentSort::NameAsc.compare(&a, &b), Ordering::Less);
        assert_eq!(BlockDocumentSort::NameDesc.compare(&a, &b), Ordering::Greater);
        assert_eq!(BlockDocumentSort::BlockTypeAndNameAsc.compare(&a, &b), Ordering::Greater);
    }
}
