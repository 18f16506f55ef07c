//! The clauses on a name: `any_` and `like_`.

use serde::{Deserialize, Serialize};

use super::like::contains;

/// A filter object on a name; both clauses must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NameFilter {
    /// The names to include, compared exactly.
    #[serde(rename = "any_")]
    pub any: Option<Vec<String>>,
    /// A term that the name must contain, whatever the case; an empty one says nothing.
    #[serde(rename = "like_")]
    pub like: Option<String>,
}

impl NameFilter {
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.any.as_deref().is_none_or(|names| names.iter().any(|one| one == name))
            && self.like.as_deref().is_none_or(|term| contains(term, name))
    }
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
            (json!({"like_": "m%t"}), false),
            (json!({"like_": "m_t"}), false),
            (json!({"any_": ["Marvin-robot"], "like_": "sad"}), false),
        ];
        for (filter, expected) in table {
            let parsed: NameFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.matches("Marvin-robot"), expected, "{filter}");
        }
    }
}
