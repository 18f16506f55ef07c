//! Automations: what is done when something happens, or does not.
//!
//! How they are evaluated is in [`crate::automations`].

mod action;
mod trigger;

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use action::{
    Action, CallWebhook, ChangeFlowRunState, OfAutomation, OfDeployment, OfWorkPool, OfWorkQueue, RunDeployment,
    SendNotification, Source,
};
pub use trigger::{
    CompoundTrigger, EventTrigger, LabelValues, MatchRelated, Posture, Quantity, Require, ResourceSpecification,
    SequenceTrigger, Trigger, TriggerId,
};

use super::{Timestamp, id::typed_id, named};
use crate::events::Lifecycle;

typed_id! {
    /// The id of an automation.
    AutomationId
}

typed_id! {
    /// The id of a firing: that a trigger has fired.
    FiringId
}

/// An automation (contract schema `Automation`). Its name need not be unique.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Automation {
    /// The name.
    pub name: String,
    /// What the automation is for.
    #[serde(default)]
    pub description: String,
    /// Whether it is evaluated.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The automation's tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What has to happen.
    pub trigger: Trigger,
    /// What is done then.
    pub actions: Vec<Action>,
    /// What is done when the trigger is triggered, besides.
    #[serde(default)]
    pub actions_on_trigger: Vec<Action>,
    /// What is done when it is resolved.
    #[serde(default)]
    pub actions_on_resolve: Vec<Action>,
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

/// An automation with what is stored beside it and not answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredAutomation {
    /// The automation.
    #[serde(flatten)]
    pub automation: Automation,
    /// The resource that it belongs to, such as `prefect.deployment.<id>`, with which it is deleted.
    #[serde(default)]
    pub owner_resource: Option<String>,
}

impl StoredAutomation {
    /// Returns the resources that the automation has to do with, each once, as Prefect relates them: its owner, and the
    /// deployments that its actions run by their ids.
    ///
    /// Actions that only follow a change of the trigger's state relate to nothing.
    pub fn related_resources(&self) -> IndexSet<String> {
        let run = self.automation.actions.iter().filter_map(|action| match action {
            Action::RunDeployment(run) => run.of.selected(),
            _ => None,
        });
        self.owner_resource.iter().cloned().chain(run.map(|id| format!("prefect.deployment.{id}"))).collect()
    }
}

named!(StoredAutomation, automation);

impl Lifecycle for StoredAutomation {
    const RESOURCE: &'static str = "automation";

    /// The whole automation, which [`budget::Bound::AutomationBytes`] keeps within the size of an event.
    fn payload(&self) -> Value {
        serde_json::to_value(&self.automation).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(actions: &Value, owner: Option<&str>) -> StoredAutomation {
        let record = json!({
            "name": "a", "trigger": {"type": "event", "id": TriggerId::new(), "posture": "Reactive"},
            "actions": actions, "id": AutomationId::new(), "created": Timestamp::now(), "updated": Timestamp::now(),
            "owner_resource": owner,
        });
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn relates_to_its_owner_and_the_deployments_that_it_runs() {
        let [one, two] = ["aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"];
        let actions = json!([
            {"type": "run-deployment", "source": "selected", "deployment_id": one},
            {"type": "run-deployment", "source": "selected", "deployment_id": one},
            {"type": "run-deployment", "source": "inferred"},
            {"type": "pause-deployment", "source": "selected", "deployment_id": two},
            {"type": "do-nothing"},
        ]);
        let resources = |owner| stored(&actions, owner).related_resources().into_iter().collect::<Vec<_>>();
        let deployment = format!("prefect.deployment.{one}");
        assert_eq!(resources(None), std::slice::from_ref(&deployment));
        assert_eq!(resources(Some("mine")), ["mine", &deployment]);
        assert_eq!(resources(Some(&deployment)), [deployment]);
    }

    #[test]
    fn is_answered_without_its_owner() {
        let stored = stored(&json!([]), Some("mine"));
        assert_eq!(serde_json::to_value(&stored).unwrap()["owner_resource"], "mine");
        assert_eq!(stored.payload().get("owner_resource"), None);
        assert_eq!(stored.payload()["trigger"]["within"], 0.0);
    }
}
