//! Variables: named values that flows and templates share.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Timestamp, VariableId};
use crate::events::Lifecycle;

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

impl Lifecycle for Variable {
    const RESOURCE: &'static str = "variable";

    fn uuid(&self) -> Uuid {
        self.id.0
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn created(&self) -> Timestamp {
        self.created
    }

    fn updated(&self) -> Timestamp {
        self.updated
    }

    fn payload(&self) -> Value {
        json!({ "name": self.name, "value": self.value, "tags": self.tags })
    }
}
