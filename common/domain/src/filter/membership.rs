//! Clauses that compare one column with a list: `any_`, `not_any_` and `is_null_`.
//!
//! A column that is null is in no list and, as in SQL, outside of none either: both `any_` and `not_any_` drop it.
//! An empty `any_` matches nothing; an empty `not_any_` says nothing.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use super::operator::Operator;

/// A filter object with `any_` alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct AnyOf<T> {
    /// The values to include.
    #[serde(rename = "any_")]
    pub any: Option<Vec<T>>,
}

impl<T> Default for AnyOf<T> {
    fn default() -> Self {
        Self { any: None }
    }
}

impl<T> AnyOf<T> {
    pub(crate) fn matches<V: ?Sized + PartialEq>(&self, value: Option<&V>) -> bool
    where
        T: Borrow<V>,
    {
        self.clause(value).unwrap_or(true)
    }

    pub(crate) fn clause<V: ?Sized + PartialEq>(&self, value: Option<&V>) -> Option<bool>
    where
        T: Borrow<V>,
    {
        self.any.as_deref().map(|list| is_in(list, value))
    }
}

/// A filter object with `any_` and `not_any_`, both of which must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct AnyOrNotAny<T> {
    /// The values to include.
    #[serde(rename = "any_")]
    pub any: Option<Vec<T>>,
    /// The values to exclude.
    #[serde(rename = "not_any_")]
    pub not_any: Option<Vec<T>>,
}

impl<T> Default for AnyOrNotAny<T> {
    fn default() -> Self {
        Self { any: None, not_any: None }
    }
}

impl<T> AnyOrNotAny<T> {
    pub(crate) fn matches<V: ?Sized + PartialEq>(&self, value: Option<&V>) -> bool
    where
        T: Borrow<V>,
    {
        self.clauses(value).into_iter().flatten().all(|holds| holds)
    }

    /// Returns whether both clauses hold; `None` if there is none.
    pub(crate) fn clause<V: ?Sized + PartialEq>(&self, value: Option<&V>) -> Option<bool>
    where
        T: Borrow<V>,
    {
        self.says_something().then(|| self.matches(value))
    }

    /// Tells whether there is any clause.
    pub(crate) fn says_something(&self) -> bool {
        self.any.is_some() || self.excluded().is_some()
    }

    fn excluded(&self) -> Option<&[T]> {
        self.not_any.as_deref().filter(|list| !list.is_empty())
    }

    fn clauses<V: ?Sized + PartialEq>(&self, value: Option<&V>) -> [Option<bool>; 2]
    where
        T: Borrow<V>,
    {
        [
            self.any.as_deref().map(|list| is_in(list, value)),
            self.excluded().map(|list| value.is_some() && !is_in(list, value)),
        ]
    }
}

/// A filter object with `any_` and `is_null_`, combined by its own operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct AnyOrNull<T> {
    /// How both clauses combine.
    pub operator: Operator,
    /// The values to include.
    #[serde(rename = "any_")]
    pub any: Option<Vec<T>>,
    /// Whether the column must be null (`true`) or must not be (`false`).
    #[serde(rename = "is_null_")]
    pub is_null: Option<bool>,
}

impl<T> Default for AnyOrNull<T> {
    fn default() -> Self {
        Self { operator: Operator::And, any: None, is_null: None }
    }
}

impl<T> AnyOrNull<T> {
    pub(crate) fn matches<V: ?Sized + PartialEq>(&self, value: Option<&V>) -> bool
    where
        T: Borrow<V>,
    {
        let included = self.any.as_deref().map(|list| is_in(list, value));
        self.operator.combine([included, self.is_null.map(|null| null == value.is_none())])
    }

    /// Returns the values of which every match has one, or `None` where nothing bounds them.
    pub(crate) fn bound(&self) -> Option<&[T]> {
        self.operator.bound(&[self.any.is_some(), self.is_null.is_some()], self.any.as_deref())
    }
}

fn is_in<T: Borrow<V>, V: ?Sized + PartialEq>(list: &[T], value: Option<&V>) -> bool {
    value.is_some_and(|value| list.iter().any(|item| item.borrow() == value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse<T: for<'de> Deserialize<'de>>(value: serde_json::Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_null_is_neither_in_a_list_nor_outside_of_it() {
        let table = [
            (json!({}), true, true, true),
            (json!({"any_": null, "not_any_": null}), true, true, true),
            (json!({"any_": []}), false, false, false),
            (json!({"not_any_": []}), true, true, true),
            (json!({"any_": ["a"]}), true, false, false),
            (json!({"not_any_": ["a"]}), false, true, false),
            (json!({"any_": ["a", "b"], "not_any_": ["a"]}), false, true, false),
        ];
        for (filter, a, b, null) in table {
            let parsed: AnyOrNotAny<String> = parse(filter.clone());
            let matched = [Some("a"), Some("b"), None].map(|value| parsed.matches(value));
            assert_eq!(matched, [a, b, null], "{filter}");
        }
    }

    #[test]
    fn null_tests_combine_by_the_operator() {
        let table = [
            (json!({}), true, true, true),
            (json!({"is_null_": true}), false, false, true),
            (json!({"is_null_": false}), true, true, false),
            (json!({"any_": ["a"], "is_null_": true}), false, false, false),
            (json!({"any_": ["a"], "is_null_": true, "operator": "or_"}), true, false, true),
            (json!({"any_": [], "is_null_": false, "operator": "or_"}), true, true, false),
        ];
        for (filter, a, b, null) in table {
            let parsed: AnyOrNull<String> = parse(filter.clone());
            let matched = [Some("a"), Some("b"), None].map(|value| parsed.matches(value));
            assert_eq!(matched, [a, b, null], "{filter}");
        }
    }

    #[test]
    fn an_alternative_bounds_nothing() {
        let alternative: AnyOrNull<String> = parse(json!({"any_": ["a"], "is_null_": true, "operator": "or_"}));
        assert_eq!(alternative.bound(), None);
        let alone: AnyOrNull<String> = parse(json!({"any_": ["a"], "operator": "or_"}));
        assert_eq!(alone.bound(), Some(["a".to_owned()].as_slice()));
    }

    #[test]
    fn refuses_a_field_that_the_contract_lacks() {
        assert!(serde_json::from_value::<AnyOf<String>>(json!({"not_any_": ["a"]})).is_err());
    }
}
