//! Observed states: which types and names of states there are in the histories of all runs.

use serde::{Deserialize, Serialize};

use super::{StateType, Timestamp};

/// A type and name that states have, and when the first and the last of them were entered (contract schema
/// `ObservedState`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedState {
    /// The type.
    pub state_type: StateType,
    /// The name.
    pub state_name: String,
    /// When the first state was entered of those that are in a history.
    pub first_seen: Timestamp,
    /// When the last one was entered.
    pub last_seen: Timestamp,
}

/// The names that Prefect gives to states, beside those of their types: every server sees them sooner or later.
const USUAL: [&str; 8] =
    ["Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Resuming", "Retrying", "Cached", "TimedOut", "Suspended"];

/// Tells whether states of this type are called so where nobody gives them a name of their own.
pub fn is_usual_name(state_type: StateType, name: &str) -> bool {
    name == state_type.default_name() || USUAL.contains(&name)
}
