//! The clauses on a name: `any_` and `like_`.

use serde::{Deserialize, Serialize};

use super::like::Pattern;

/// A filter object on a name; both clauses must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NameFilter {
    /// The names to include, compared exactly.
    #[serde(rename = "any_")]
    pub any: Option<Vec<String>>,
    /// A term that the name must contain, by the rules of SQLite's `LIKE`; an empty one says nothing.
    #[serde(rename = "like_")]
    pub like: Option<String>,
}

impl NameFilter {
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.any.as_deref().is_none_or(|names| names.iter().any(|one| one == name))
            && self.like.as_deref().is_none_or(|term| contains(term, name))
    }
}

/// Tells whether `name` contains `term` as `like_` means it; every name contains an empty term.
pub(crate) fn contains(term: &str, name: &str) -> bool {
    term.is_empty() || Pattern::containing(term).matches(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn follows_the_truth_table() {
        let table = [
            (json!({}), true),
            (json!({"any_": []}), false),
            (json!({"any_": ["marvin"]}), false),
            (json!({"any_": ["Marvin-robot"]}), true),
            (json!({"like_": ""}), true),
            (json!({"like_": "MARVIN"}), true),
            (json!({"like_": "m%t"}), true),
            (json!({"like_": "m_t"}), false),
            (json!({"any_": ["Marvin-robot"], "like_": "sad"}), false),
        ];
        for (filter, expected) in table {
            let parsed: NameFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.matches("Marvin-robot"), expected, "{filter}");
        }
    }
}
