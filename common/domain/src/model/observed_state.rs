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
