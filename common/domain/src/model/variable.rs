//! Variables: named values that flows and templates share.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Timestamp, id::typed_id, named};
use crate::events::Lifecycle;

typed_id! {
    /// The id of a variable.
    VariableId
}

/// A variable, known by its unique name (contract schema `Variable`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// The variable's id.
    pub id: VariableId,
    /// When the variable was created.
    pub created: Timestamp,
    /// When the variable was last changed.
    pub updated: Timestamp,
    /// The unique name.
    pub name: String,
    /// Any JSON value, null included, of at most 5,000 bytes.
    #[serde(default)]
    pub value: Value,
    /// The variable's tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

named!(Variable);

impl Lifecycle for Variable {
    const RESOURCE: &'static str = "variable";

    fn payload(&self) -> Value {
        json!({ "name": self.name, "value": self.value, "tags": self.tags })
    }
}
