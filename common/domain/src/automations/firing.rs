//! That an automation was triggered, and what is to be done then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Automation, EventId, FiringId, Timestamp, TriggerId, automation::Action};

/// That a trigger has fired (contract schema `Firing`, with the events by their ids).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FiringOfTrigger {
    /// The firing's id.
    pub id: FiringId,
    /// The trigger.
    pub trigger: TriggerId,
    /// When the server found that it fires.
    pub triggered: Timestamp,
    /// The moment that decided it: when the event occurred, or the window of time ended.
    pub at: Timestamp,
    /// The values of the labels in `for_each`, by the labels' names.
    #[serde(default)]
    pub triggering_labels: BTreeMap<String, String>,
    /// The firings of the triggers within it that made it fire.
    #[serde(default)]
    pub triggering_firings: Vec<FiringOfTrigger>,
    /// The event that made it fire, or was the last before.
    pub triggering_event: Option<EventId>,
}

/// That an automation was triggered, with the automation as it was then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Firing {
    /// The firing of the automation's trigger.
    pub firing: FiringOfTrigger,
    /// The automation.
    pub automation: Automation,
}

/// An action of an automation that was triggered (as Prefect's `TriggeredAction`).
#[derive(Clone, Copy, Debug)]
pub struct TriggeredAction<'f> {
    /// The firing.
    pub firing: &'f Firing,
    /// The action.
    pub action: &'f Action,
    /// The action's place among all that the firing has carried out.
    pub index: usize,
    /// Whether the event that it is about is the one that tells of the firing, and not the one that made it.
    pub is_about_firing: bool,
}

impl FiringOfTrigger {
    /// Returns this firing and all within it, each before those within it.
    pub fn all(&self) -> Vec<&FiringOfTrigger> {
        let within = self.triggering_firings.iter().flat_map(FiringOfTrigger::all);
        std::iter::once(self).chain(within).collect()
    }
}

impl Firing {
    /// Returns the id of the event `prefect.automation.triggered` that tells of the firing.
    pub fn told_by(&self) -> EventId {
        EventId(self.derived("triggered"))
    }

    /// Returns all actions that the firing has carried out, in their order.
    pub fn actions(&self) -> Vec<TriggeredAction<'_>> {
        let about_event = self.automation.actions.iter().map(|action| (action, false));
        let about_firing = self.automation.actions_on_trigger.iter().map(|action| (action, true));
        about_event
            .chain(about_firing)
            .enumerate()
            .map(|(index, (action, is_about_firing))| TriggeredAction { firing: self, action, index, is_about_firing })
            .collect()
    }

    /// Returns an id that is the firing's for this purpose alone, whoever asks and however often.
    fn derived(&self, purpose: &str) -> Uuid {
        Uuid::new_v5(&self.firing.id.0, purpose.as_bytes())
    }
}

impl TriggeredAction<'_> {
    /// Returns the id of this invocation of the action, the same whenever it is carried out.
    pub fn invocation(&self) -> Uuid {
        self.firing.derived(&format!("action {}", self.index))
    }

    /// Returns the id of an event that tells of this invocation.
    pub fn told_by(&self, what: &str) -> EventId {
        EventId(self.firing.derived(&format!("action {} {what}", self.index)))
    }

    /// Returns the key by which a run is made once for the invocation, in Prefect's form.
    pub fn idempotency_key(&self) -> String {
        format!("automation {}, action {}, invocation {}", self.firing.automation.id, self.index, self.invocation())
    }

    /// Returns the id of the event that the action is about.
    pub fn triggering_event(&self) -> Option<EventId> {
        if self.is_about_firing { Some(self.firing.told_by()) } else { self.firing.firing.triggering_event }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn firing() -> Firing {
        let trigger = TriggerId::new();
        let event = json!({"type": "event", "posture": "Reactive", "id": trigger});
        let automation = json!({
            "name": "a", "id": Uuid::new_v4(), "created": Timestamp::now(), "updated": Timestamp::now(), "trigger": event,
            "actions": [{"type": "do-nothing"}], "actions_on_trigger": [{"type": "cancel-flow-run"}],
            "actions_on_resolve": [{"type": "suspend-flow-run"}],
        });
        let firing = json!({
            "id": FiringId::new(), "trigger": trigger, "triggered": Timestamp::now(), "at": Timestamp::now(),
            "triggering_event": EventId::new(),
        });
        serde_json::from_value(json!({"automation": automation, "firing": firing})).unwrap()
    }

    #[test]
    fn actions_on_trigger_come_last_and_are_about_the_firing() {
        let firing = firing();
        let actions = firing.actions();
        assert_eq!(actions.iter().map(|action| action.index).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(actions[0].triggering_event(), firing.firing.triggering_event);
        assert_eq!(actions[1].triggering_event(), Some(firing.told_by()));
        assert_eq!(*actions[1].action, Action::CancelFlowRun);
    }

    #[test]
    fn each_invocation_has_its_own_ids_and_the_same_again() {
        let firing = firing();
        let [one, two] = [0, 1].map(|index| firing.actions()[index].invocation());
        assert_ne!(one, two);
        assert_eq!(firing.actions()[0].invocation(), one);
        let key = firing.actions()[1].idempotency_key();
        assert_eq!(key, format!("automation {}, action 1, invocation {two}", firing.automation.id));
    }

    #[test]
    fn all_firings_are_listed_from_the_outside() {
        let mut outer = firing().firing;
        let (inner, deep) = (firing().firing, firing().firing);
        outer.triggering_firings = vec![FiringOfTrigger { triggering_firings: vec![deep.clone()], ..inner.clone() }];
        let ids: Vec<_> = outer.all().iter().map(|firing| firing.id).collect();
        assert_eq!(ids, [outer.id, inner.id, deep.id]);
    }
}
