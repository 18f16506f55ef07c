//! The filter of block types.

use serde::{Deserialize, Serialize};

use super::{like::contains, membership::AnyOf};
use crate::model::BlockType;

/// Filters block types (contract schema `BlockTypeFilter`); all clauses must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlockTypeFilter {
    /// On the type's name.
    pub name: Option<NameContains>,
    /// On the type's slug.
    pub slug: Option<AnyOf<String>>,
}

/// A filter object on a name with `like_` alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NameContains {
    /// A term that the name must contain, by the rules of SQLite's `LIKE`; an empty one says nothing.
    #[serde(rename = "like_")]
    pub like: Option<String>,
}

impl BlockTypeFilter {
    /// Tells whether the filter selects `block_type`.
    pub fn matches(&self, block_type: &BlockType) -> bool {
        let term = self.name.as_ref().and_then(|name| name.like.as_deref());
        term.is_none_or(|term| contains(term, &block_type.name))
            && self.slug.as_ref().is_none_or(|slug| slug.matches(Some(block_type.slug.as_str())))
    }

    /// Returns the slugs of which every match has one.
    pub fn slugs(&self) -> Option<&[String]> {
        self.slug.as_ref()?.any.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{BlockTypeId, Timestamp};

    fn parse(filter: Value) -> BlockTypeFilter {
        serde_json::from_value(filter).unwrap()
    }

    #[test]
    fn follows_the_truth_table() {
        let now = Timestamp::now();
        let block_type = BlockType {
            id: BlockTypeId::new(),
            created: now,
            updated: now,
            name: "Local File System".into(),
            slug: "local-file-system".into(),
            logo_url: None,
            documentation_url: None,
            description: None,
            code_example: None,
            is_protected: true,
        };
        let table = [
            (json!({}), true),
            (json!({"name": {"like_": "FILE"}}), true),
            (json!({"name": {"like_": ""}}), true),
            (json!({"name": {"like_": "secret"}}), false),
            (json!({"slug": {"any_": ["secret", "local-file-system"]}}), true),
            (json!({"slug": {"any_": []}}), false),
            (json!({"slug": {}}), true),
            (json!({"name": {"like_": "file"}, "slug": {"any_": ["secret"]}}), false),
        ];
        for (filter, expected) in table {
            assert_eq!(parse(filter.clone()).matches(&block_type), expected, "{filter}");
        }
        assert_eq!(parse(json!({"slug": {"any_": ["a"]}})).slugs(), Some(["a".to_owned()].as_slice()));
        assert_eq!(parse(json!({"slug": {}})).slugs(), None);
    }
}
