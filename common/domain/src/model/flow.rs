//! Flows: what flow runs are runs of.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{FlowId, Object, Timestamp};
use crate::events::Lifecycle;

/// A flow, known by its unique name (contract schema `Flow`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// The flow's id.
    pub id: FlowId,
    /// When the flow was created.
    pub created: Timestamp,
    /// When the flow was last changed.
    pub updated: Timestamp,
    /// The unique name.
    pub name: String,
    /// The flow's tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Key-value labels; the values are strings, numbers or booleans. A client may set them to nothing at all.
    #[serde(default)]
    pub labels: Option<Object>,
}

impl Flow {
    /// Makes a flow without tags and labels, created at `now`.
    pub fn new(id: FlowId, name: impl Into<String>, now: Timestamp) -> Self {
        Self { id, created: now, updated: now, name: name.into(), tags: Vec::new(), labels: Some(Object::new()) }
    }
}

impl Lifecycle for Flow {
    const RESOURCE: &'static str = "flow";

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
        json!({ "name": self.name, "tags": self.tags, "labels": self.labels })
    }
}
