//! The filter of a flow run's inputs, which the contract has as fields of the request's body.

use serde::{Deserialize, Serialize};

use super::like::starts_with;
use crate::model::{FlowRunInput, InputKey};

/// Selects inputs by their keys (contract operation `POST /flow_runs/{id}/input/filter`, without its `limit`).
///
/// The answer is in the order of creation. Unknown fields are the body's own and skipped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlowRunInputFilter {
    /// What the key must start with, whatever the case.
    pub prefix: String,
    /// Keys to exclude.
    #[serde(default)]
    pub exclude_keys: Vec<String>,
}

impl FlowRunInputFilter {
    /// Tells whether the filter selects `input`.
    pub fn matches(&self, input: &FlowRunInput) -> bool {
        let key = input.key.as_str();
        starts_with(&self.prefix, key) && !self.exclude_keys.iter().any(|excluded| excluded == key)
    }

    /// Returns the longest text that keys may hold and every match's key starts with, of at most `limit` bytes.
    ///
    /// Keys are lower case, and the prefix matches without case.
    pub fn literal_prefix(&self, limit: usize) -> String {
        let prefix = self.prefix.to_ascii_lowercase();
        let is_literal = |symbol: &char| InputKey::allows(*symbol);
        prefix.chars().take(limit).take_while(is_literal).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{FlowRunId, FlowRunInputId, Timestamp};

    #[test]
    fn knows_what_every_key_starts_with() {
        let literal =
            |prefix: &str| FlowRunInputFilter { prefix: prefix.to_owned(), exclude_keys: Vec::new() }.literal_prefix(5);
        let table = [
            ("", ""),
            ("ab-1", "ab-1"),
            ("AB%c", "ab"),
            ("_", ""),
            ("ab\u{0}c", "ab"),
            ("é", ""),
            ("abcdefg", "abcde"),
        ];
        for (prefix, expected) in table {
            assert_eq!(literal(prefix), expected, "{prefix:?}");
        }
    }

    #[test]
    fn follows_the_truth_table() {
        let input = FlowRunInput {
            id: FlowRunInputId::new(),
            created: Timestamp::now(),
            updated: Timestamp::now(),
            flow_run_id: FlowRunId::new(),
            key: "approval-1".parse().unwrap(),
            value: "true".to_owned(),
            sender: None,
        };
        let table = [
            (json!({"prefix": ""}), true),
            (json!({"prefix": "approval"}), true),
            (json!({"prefix": "APPROVAL"}), true),
            (json!({"prefix": "approval_"}), false),
            (json!({"prefix": "-1"}), false),
            (json!({"prefix": "a", "exclude_keys": ["approval-1"]}), false),
            (json!({"prefix": "a", "exclude_keys": ["approval"]}), true),
        ];
        for (filter, expected) in table {
            let parsed: FlowRunInputFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.matches(&input), expected, "{filter}");
        }
    }
}
