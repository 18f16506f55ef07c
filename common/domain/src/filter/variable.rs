//! The filter of variables.

use serde::{Deserialize, Serialize};

use super::{membership::AnyOf, name::NameFilter, operator::Operator, sort::NamedSort, tags::TagsFilter};
use crate::model::{Variable, VariableId};

/// How variables are sorted (contract schema `VariableSort`).
pub type VariableSort = NamedSort;

/// Filters variables (contract schema `VariableFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VariableFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the variable's id.
    pub id: Option<AnyOf<VariableId>>,
    /// On the variable's name.
    pub name: Option<NameFilter>,
    /// On the variable's tags.
    pub tags: Option<TagsFilter>,
}

impl VariableFilter {
    /// Tells whether the filter selects `variable`.
    pub fn matches(&self, variable: &Variable) -> bool {
        self.operator.combine([
            self.id.as_ref().map(|filter| filter.matches(Some(&variable.id))),
            self.name.as_ref().map(|filter| filter.matches(&variable.name)),
            self.tags.as_ref().map(|filter| filter.matches(&variable.tags)),
        ])
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[VariableId]> {
        self.bound(self.id.as_ref()?.any.as_deref())
    }

    /// Returns the names of which every match has one.
    pub fn names(&self) -> Option<&[String]> {
        self.bound(self.name.as_ref()?.any.as_deref())
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        self.operator.bound(&[self.id.is_some(), self.name.is_some(), self.tags.is_some()], bound)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::Timestamp;

    fn variable() -> Variable {
        let now = Timestamp::now();
        let (id, name, tags) = (VariableId::new(), "my_variable".to_owned(), vec!["a".to_owned()]);
        Variable { id, created: now, updated: now, name, value: Value::Null, tags }
    }

    fn parse(filter: Value) -> VariableFilter {
        serde_json::from_value(filter).unwrap()
    }

    #[test]
    fn follows_the_truth_table() {
        let variable = variable();
        let table = [
            (json!({}), true),
            (json!({"id": {"any_": [variable.id]}}), true),
            (json!({"id": {"any_": [VariableId::new()]}}), false),
            (json!({"name": {"like_": "VARIABLE"}, "tags": {"all_": ["b"]}}), false),
            (json!({"name": {"like_": "VARIABLE"}, "tags": {"all_": ["b"]}, "operator": "or_"}), true),
            (json!({"tags": {"is_null_": true}}), false),
        ];
        for (filter, expected) in table {
            assert_eq!(parse(filter.clone()).matches(&variable), expected, "{filter}");
        }
    }

    #[test]
    fn bounds_respect_the_operator() {
        let names = json!({"name": {"any_": ["x"]}, "tags": {}});
        assert_eq!(parse(names.clone()).names(), Some(["x".to_owned()].as_slice()));
        let mut alternative = names;
        alternative["operator"] = json!("or_");
        assert_eq!(parse(alternative).names(), None);
    }
}
