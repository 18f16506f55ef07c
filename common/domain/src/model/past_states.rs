//! What a run remembers of the states that it has entered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{State, StateId, Timestamp};

/// What a run remembers of the states that it has entered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PastStates {
    /// How many states it has entered.
    #[serde(default)]
    pub entered: u32,
    /// Whether its current state is also kept by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_apart: bool,
    /// When the server acts on the run if it is still in this state, unless what is apart says so, or its next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The states that it has left, or of which it was told late, and that are not kept by themselves.
    ///
    /// The oldest one is the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<State>,
    /// Which state each state follows that is not kept by itself, where whoever reported it has said so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub follows: BTreeMap<StateId, StateId>,
}

impl PastStates {
    /// Says whether the current state is kept by itself: always where nothing was remembered.
    pub fn has_current_apart(&self) -> bool {
        self.is_apart || self.entered == 0
    }

    /// Says whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
