//! What is searched for among observed states, and how they are sorted.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::model::ObservedState;

/// How observed states are sorted (contract schema `ObservedStateSort`); those seen last at once go by type and name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ObservedStateSort {
    /// By type, and then by name.
    NameAsc,
    /// Those seen last come first.
    #[default]
    LastSeenDesc,
}

impl ObservedStateSort {
    /// Compares two observed states.
    pub fn compare(self, one: &ObservedState, other: &ObservedState) -> Ordering {
        let named = |state: &ObservedState| (state.state_type.as_str(), state.state_name.clone());
        let by_name = named(one).cmp(&named(other));
        match self {
            Self::NameAsc => by_name,
            Self::LastSeenDesc => other.last_seen.cmp(&one.last_seen).then(by_name),
        }
    }
}

/// What a type or a name begins with that is searched for, in upper or lower case.
///
/// Cases are those of ASCII, as in Prefect's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePrefix(String);

impl StatePrefix {
    /// Takes what a user types; nothing if that is blank.
    pub fn new(query: &str) -> Option<Self> {
        let prefix = query.trim();
        (!prefix.is_empty()).then(|| Self(prefix.to_owned()))
    }

    /// Tells whether the type or the name of `state` begins so.
    pub fn matches(&self, state: &ObservedState) -> bool {
        [state.state_type.as_str(), &state.state_name].into_iter().any(|text| {
            text.as_bytes().get(..self.0.len()).is_some_and(|start| start.eq_ignore_ascii_case(self.0.as_bytes()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{StateType, Timestamp};

    fn observed(state_type: StateType, state_name: &str, last_seen: Timestamp) -> ObservedState {
        ObservedState { state_type, state_name: state_name.to_owned(), first_seen: last_seen, last_seen }
    }

    #[test]
    fn a_prefix_is_that_of_a_type_or_a_name() {
        let state = observed(StateType::Failed, "Timed_Out 100%", Timestamp::now());
        let table = [
            ("fail", true),
            ("FAILED", true),
            ("timed_", true),
            (" timed ", true),
            ("Timed_Out 100%", true),
            ("Timed_Out 100%!", false),
            ("ailed", false),
            ("%", false),
            ("time%", false),
            ("_", false),
        ];
        for (query, expected) in table {
            assert_eq!(StatePrefix::new(query).unwrap().matches(&state), expected, "{query}");
        }
        assert_eq!(StatePrefix::new("  "), None);
        let state = observed(StateType::Failed, "Ünï", Timestamp::now());
        assert!(StatePrefix::new("Ün").unwrap().matches(&state));
        assert!(!StatePrefix::new("ün").unwrap().matches(&state));
    }

    #[test]
    fn what_was_seen_last_comes_first() {
        let (now, before) = (Timestamp::now(), Timestamp::now().plus_seconds(-9.0));
        let mut states = [
            observed(StateType::Running, "b", now),
            observed(StateType::Completed, "z", before),
            observed(StateType::Running, "a", now),
            observed(StateType::Failed, "c", now),
        ];
        states.sort_by(|one, other| ObservedStateSort::LastSeenDesc.compare(one, other));
        assert_eq!(states.each_ref().map(|state| state.state_name.as_str()), ["c", "a", "b", "z"]);
        states.sort_by(|one, other| ObservedStateSort::NameAsc.compare(one, other));
        assert_eq!(states.each_ref().map(|state| state.state_name.as_str()), ["z", "c", "a", "b"]);
    }
}
