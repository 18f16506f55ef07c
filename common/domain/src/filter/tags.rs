//! The clauses on tags: `all_`, `any_` and `is_null_`.
//!
//! Tags compare exactly. Duplicates count once, an empty `all_` says nothing, an empty `any_` matches nothing,
//! and "null" means the empty list.

use serde::{Deserialize, Serialize};

use super::operator::Operator;

/// A filter object on the tags of a flow or task run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TagsFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// Tags that must all be there.
    #[serde(rename = "all_")]
    pub all: Option<Vec<String>>,
    /// Whether there must be no tags (`true`) or some (`false`).
    #[serde(rename = "is_null_")]
    pub is_null: Option<bool>,
}

impl TagsFilter {
    pub(crate) fn matches(&self, tags: &[String]) -> bool {
        self.operator.combine([has_all(self.all.as_deref(), tags), is_null(self.is_null, tags)])
    }
}

/// A filter object on the tags of a flow run or deployment, which knows `any_` too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnyTagsFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// Tags that must all be there.
    #[serde(rename = "all_")]
    pub all: Option<Vec<String>>,
    /// Tags of which at least one must be there.
    #[serde(rename = "any_")]
    pub any: Option<Vec<String>>,
    /// Whether there must be no tags (`true`) or some (`false`).
    #[serde(rename = "is_null_")]
    pub is_null: Option<bool>,
}

impl AnyTagsFilter {
    pub(crate) fn matches(&self, tags: &[String]) -> bool {
        let any = self.any.as_deref().map(|wanted| wanted.iter().any(|tag| tags.contains(tag)));
        self.operator.combine([has_all(self.all.as_deref(), tags), any, is_null(self.is_null, tags)])
    }

    /// Returns the tags of which every match has all.
    pub(crate) fn all_bound(&self) -> Option<&[String]> {
        self.operator.bound(&[self.all.is_some(), self.any.is_some(), self.is_null.is_some()], self.all.as_deref())
    }

    /// Tells whether the filter is nothing but tags that must all be there.
    pub(crate) fn is_one_list(&self) -> bool {
        self.all.is_some() && self.any.is_none() && self.is_null.is_none()
    }
}

fn has_all(wanted: Option<&[String]>, tags: &[String]) -> Option<bool> {
    wanted.filter(|wanted| !wanted.is_empty()).map(|wanted| wanted.iter().all(|tag| tags.contains(tag)))
}

fn is_null(wanted: Option<bool>, tags: &[String]) -> Option<bool> {
    wanted.map(|null| null == tags.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn follows_the_truth_table() {
        let tags = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let records = [tags(&[]), tags(&["a"]), tags(&["a", "a", "b"]), tags(&["A"])];
        let table = [
            (json!({}), [true, true, true, true]),
            (json!({"all_": []}), [true, true, true, true]),
            (json!({"all_": ["a"]}), [false, true, true, false]),
            (json!({"all_": ["b", "a", "b"]}), [false, false, true, false]),
            (json!({"any_": []}), [false, false, false, false]),
            (json!({"any_": ["b", "A"]}), [false, false, true, true]),
            (json!({"is_null_": true}), [true, false, false, false]),
            (json!({"is_null_": false}), [false, true, true, true]),
            (json!({"all_": ["b"], "is_null_": true, "operator": "or_"}), [true, false, true, false]),
            (json!({"all_": ["a"], "any_": ["b"]}), [false, false, true, false]),
            (json!({"all_": [], "any_": ["b"], "operator": "or_"}), [false, false, true, false]),
        ];
        for (filter, expected) in table {
            let parsed: AnyTagsFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(records.each_ref().map(|tags| parsed.matches(tags)), expected, "{filter}");
        }
    }
}
