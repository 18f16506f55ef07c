//! Triggers: what has to happen, or to stay away, for an automation to act.

use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};

use super::super::{Seconds, id::typed_id};

typed_id! {
    /// The id of a trigger, which Prefect's server gives anew whenever an automation is written.
    TriggerId
}

/// What has to happen (contract schemas `EventTrigger`, `CompoundTrigger` and `SequenceTrigger`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Trigger {
    /// Events occur, or don't.
    Event(Box<EventTrigger>),
    /// Some of several triggers fire.
    Compound(CompoundTrigger),
    /// Several triggers fire one after the other.
    Sequence(SequenceTrigger),
}

/// A trigger that goes by the presence or absence of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventTrigger {
    /// The trigger's id.
    #[serde(default)]
    pub id: TriggerId,
    /// The labels that the resource of an event has.
    #[serde(default)]
    pub r#match: ResourceSpecification,
    /// The labels that the resources have which an event relates to.
    #[serde(default)]
    pub match_related: MatchRelated,
    /// The events that must have been seen first; a name may end in `*`.
    #[serde(default)]
    pub after: IndexSet<String>,
    /// The events that are waited for, any if there are none; a name may end in `*`.
    #[serde(default)]
    pub expect: IndexSet<String>,
    /// The labels for each value of which the trigger is evaluated by itself.
    #[serde(default)]
    pub for_each: IndexSet<String>,
    /// Whether the presence of the events counts or their absence.
    pub posture: Posture,
    /// How many events make the trigger fire, or keep it from firing; any number, as in Prefect.
    #[serde(default = "one")]
    pub threshold: i64,
    /// How long the events are counted, in seconds; a proactive trigger waits ten seconds at least.
    #[serde(default)]
    pub within: Seconds,
}

fn one() -> i64 {
    1
}

/// Whether a trigger answers to events or to their absence. Prefect's third posture, `Metric`, is its cloud's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Posture {
    /// The trigger fires when events occur.
    Reactive,
    /// The trigger fires when they don't.
    Proactive,
}

/// A trigger that fires when enough of its triggers have, in any order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompoundTrigger {
    /// The trigger's id.
    #[serde(default)]
    pub id: TriggerId,
    /// The triggers.
    pub triggers: Vec<Trigger>,
    /// Within how many seconds they have to fire; null for no bound. May be negative, as in Prefect.
    pub within: Option<Seconds>,
    /// How many of them have to fire.
    pub require: Require,
}

/// A trigger that fires when its triggers have, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SequenceTrigger {
    /// The trigger's id.
    #[serde(default)]
    pub id: TriggerId,
    /// The triggers.
    pub triggers: Vec<Trigger>,
    /// Within how many seconds they have to fire; null for no bound. May be negative, as in Prefect.
    pub within: Option<Seconds>,
}

/// How many triggers of a compound trigger have to fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Require {
    /// So many, at least one and at most all.
    Count(i64),
    /// Any or all.
    Quantity(Quantity),
}

/// How many triggers of a compound trigger have to fire, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantity {
    /// One of them.
    Any,
    /// Each of them.
    All,
}

/// The labels that a resource has, each with what its value may be (contract schema `ResourceSpecification`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceSpecification(pub IndexMap<String, LabelValues>);

/// What the value of a label may be; each may end in `*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LabelValues {
    /// This one.
    One(String),
    /// Any of these.
    Any(Vec<String>),
}

impl LabelValues {
    /// Returns the values.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Any(values) => values,
        }
    }
}

impl ResourceSpecification {
    /// Tells whether every resource of a kind, such as `prefect.flow-run`, fits, as Prefect's
    /// `matches_every_resource_of_kind`: nothing is asked, or nothing but an id of the kind.
    pub fn matches_every_resource_of_kind(&self, kind: &str) -> bool {
        let every = format!("{kind}.*");
        match self.0.iter().next() {
            None => true,
            Some((label, values)) => {
                self.0.len() == 1 && label == super::super::event::RESOURCE_ID && values.as_slice().contains(&every)
            }
        }
    }
}

/// The labels of the resources that an event relates to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MatchRelated {
    /// One resource has them.
    One(ResourceSpecification),
    /// For each of these there is a resource that has them.
    All(Vec<ResourceSpecification>),
}

impl MatchRelated {
    /// Returns what is asked of the resources.
    pub fn as_slice(&self) -> &[ResourceSpecification] {
        match self {
            Self::One(specification) => std::slice::from_ref(specification),
            Self::All(specifications) => specifications,
        }
    }
}

impl Default for MatchRelated {
    fn default() -> Self {
        Self::One(ResourceSpecification::default())
    }
}

impl Trigger {
    /// Returns the trigger's id.
    pub fn id(&self) -> TriggerId {
        match self {
            Self::Event(trigger) => trigger.id,
            Self::Compound(trigger) => trigger.id,
            Self::Sequence(trigger) => trigger.id,
        }
    }

    /// Returns the triggers that are within this one, without those within these.
    pub fn children(&self) -> &[Trigger] {
        match self {
            Self::Event(_) => &[],
            Self::Compound(trigger) => &trigger.triggers,
            Self::Sequence(trigger) => &trigger.triggers,
        }
    }

    /// Finds the trigger with this id, which is this one or within it.
    pub fn find(&self, id: TriggerId) -> Option<&Trigger> {
        if self.id() == id {
            return Some(self);
        }
        self.children().iter().find_map(|child| child.find(id))
    }

    /// Gives the trigger, and all triggers within it, ids that are made anew, as Prefect's `reset_ids`.
    pub fn renew_ids(&mut self) {
        match self {
            Self::Event(trigger) => trigger.id = TriggerId::new(),
            Self::Compound(CompoundTrigger { id, triggers, .. })
            | Self::Sequence(SequenceTrigger { id, triggers, .. }) => {
                *id = TriggerId::new();
                triggers.iter_mut().for_each(Self::renew_ids);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn trigger(trigger: Value) -> Trigger {
        serde_json::from_value(trigger).unwrap()
    }

    #[test]
    fn is_written_as_the_real_server_writes_it() {
        let id = TriggerId::new();
        let nested = json!({
            "type": "compound", "id": id, "triggers": [
                {"type": "event", "id": id, "match": {"a": "b", "c": ["d"]}, "match_related": [{"x": "y"}], "after": ["b", "a"],
                 "expect": [], "for_each": ["k"], "posture": "Proactive", "threshold": 3, "within": 10.5},
                {"type": "sequence", "id": id, "triggers": [], "within": null},
            ], "within": -1.0, "require": 2,
        });
        assert_eq!(serde_json::to_string(&trigger(nested.clone())).unwrap(), nested.to_string());
        let any = json!({"type": "compound", "id": id, "triggers": [], "within": null, "require": "any"});
        assert_eq!(serde_json::to_value(trigger(any.clone())).unwrap(), any);
    }

    #[test]
    fn ids_are_renewed_at_every_level() {
        let id = TriggerId::new();
        let event = json!({"type": "event", "id": id, "posture": "Reactive"});
        let mut renewed = trigger(json!({"type": "sequence", "id": id, "within": 1, "triggers": [event, event]}));
        renewed.renew_ids();
        let text = serde_json::to_string(&renewed).unwrap();
        assert!(!text.contains(&id.to_string()), "{text}");
    }

    #[test]
    fn a_specification_may_match_every_resource_of_a_kind() {
        let table = [
            (json!({}), true),
            (json!({"prefect.resource.id": "prefect.flow-run.*"}), true),
            (json!({"prefect.resource.id": ["x", "prefect.flow-run.*"]}), true),
            (json!({"prefect.resource.id": "prefect.flow-run.1"}), false),
            (json!({"prefect.resource.id": "prefect.flow-run.*", "a": "b"}), false),
            (json!({"a": "prefect.flow-run.*"}), false),
        ];
        for (specification, expected) in table {
            let parsed: ResourceSpecification = serde_json::from_value(specification.clone()).unwrap();
            assert_eq!(parsed.matches_every_resource_of_kind("prefect.flow-run"), expected, "{specification}");
        }
    }
}
