//! The triggers of an automation, each with the trigger that it is within.

use std::collections::HashMap;

use super::Coverage;
use crate::model::automation::{EventTrigger, Trigger, TriggerId};

/// The triggers of an automation, made ready to be asked often.
#[derive(Clone, Debug)]
pub struct TriggerTree {
    root: Trigger,
    nodes: Vec<Node>,
    parents: HashMap<TriggerId, TriggerId>,
}

/// A trigger of events, and what it covers.
#[derive(Clone, Debug)]
pub struct Node {
    /// The trigger.
    pub trigger: EventTrigger,
    /// What it covers.
    pub coverage: Coverage,
}

impl TriggerTree {
    /// Reads the trigger of an automation, and those within it.
    pub fn new(root: &Trigger) -> Self {
        let mut tree = Self { root: root.clone(), nodes: Vec::new(), parents: HashMap::new() };
        tree.add(root);
        tree
    }

    fn add(&mut self, trigger: &Trigger) {
        if let Trigger::Event(event) = trigger {
            self.nodes.push(Node { coverage: Coverage::new(event), trigger: (**event).clone() });
        }
        for child in trigger.children() {
            self.parents.insert(child.id(), trigger.id());
            self.add(child);
        }
    }

    /// Returns the triggers of events.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the trigger of events with this id.
    pub fn node(&self, id: TriggerId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.trigger.id == id)
    }

    /// Returns whether the automation has one trigger alone, which is one of events.
    pub fn is_single(&self) -> bool {
        matches!(self.root, Trigger::Event(_))
    }

    /// Returns the trigger that the trigger with this id is within; none for the automation's own.
    pub fn parent(&self, id: TriggerId) -> Option<&Trigger> {
        self.parents.get(&id).and_then(|parent| self.root.find(*parent))
    }

    /// Returns the ids of the triggers of triggers.
    pub fn composites(&self) -> Vec<TriggerId> {
        let mut ids: Vec<TriggerId> = self.parents.values().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn knows_who_is_within_whom() {
        let event = || json!({"type": "event", "posture": "Reactive", "id": TriggerId::new()});
        let inner = json!({"type": "sequence", "id": TriggerId::new(), "within": null, "triggers": [event(), event()]});
        let root: Trigger = serde_json::from_value(json!({
            "type": "compound", "id": TriggerId::new(), "within": null, "require": "all", "triggers": [inner, event()],
        }))
        .unwrap();
        let tree = TriggerTree::new(&root);
        assert_eq!(tree.nodes().len(), 3);
        assert!(!tree.is_single());
        let [deep, _, shallow] = tree.nodes() else { panic!("{tree:?}") };
        let sequence = tree.parent(deep.trigger.id).unwrap();
        assert_eq!(tree.parent(sequence.id()).unwrap().id(), root.id());
        assert_eq!(tree.parent(shallow.trigger.id).unwrap().id(), root.id());
        assert!(tree.parent(root.id()).is_none());
        assert_eq!(tree.composites().len(), 2);
        assert!(tree.node(deep.trigger.id).is_some() && tree.node(root.id()).is_none());
    }
}
