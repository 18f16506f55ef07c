//! Flows: what flow runs are runs of.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Object, Timestamp, id::typed_id, named};
use crate::events::Lifecycle;

typed_id! {
    /// The id of a flow.
    FlowId
}

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

named!(Flow);

impl Lifecycle for Flow {
    const RESOURCE: &'static str = "flow";

    fn payload(&self) -> Value {
        json!({ "name": self.name, "tags": self.tags, "labels": self.labels })
    }
}
