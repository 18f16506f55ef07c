//! Automations: what is done when something happens, or does not.

use serde::{Deserialize, Serialize};

use super::{Object, Timestamp, id::typed_id};

typed_id! {
    /// The id of an automation.
    AutomationId
}

/// An automation (contract schema `Automation`).
///
/// Its trigger and its actions are kept as they were sent, and answered as they are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Automation {
    /// The name.
    pub name: String,
    /// What the automation is for.
    #[serde(default)]
    pub description: String,
    /// Whether it does anything.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Key-value labels that sort automations.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What has to happen.
    pub trigger: Object,
    /// What is done then.
    pub actions: Vec<Object>,
    /// What is done when the trigger is triggered, besides.
    #[serde(default)]
    pub actions_on_trigger: Vec<Object>,
    /// What is done when it is resolved.
    #[serde(default)]
    pub actions_on_resolve: Vec<Object>,
    /// The automation's id.
    pub id: AutomationId,
    /// When the automation was created.
    pub created: Timestamp,
    /// When the automation was last changed.
    pub updated: Timestamp,
}

fn yes() -> bool {
    true
}
