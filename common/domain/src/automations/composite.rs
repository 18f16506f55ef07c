//! When a trigger of triggers fires.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FiringOfTrigger;
use crate::model::{
    FiringId, Seconds, Timestamp, TriggerId,
    automation::{CompoundTrigger, Quantity, Require, SequenceTrigger, Trigger},
};

/// The firings of the triggers within a trigger that wait for the others, the last one of each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChildFirings(BTreeMap<TriggerId, FiringOfTrigger>);

/// Takes the firing of one of its triggers to a trigger of triggers; returns the firing of this one if it fires.
pub fn child_fired(parent: &Trigger, children: &mut ChildFirings, firing: FiringOfTrigger) -> Option<FiringOfTrigger> {
    let (id, within, expected) = match parent {
        Trigger::Event(_) => return None,
        Trigger::Compound(compound) => (compound.id, compound.within, expected(compound)),
        Trigger::Sequence(sequence) => (sequence.id, sequence.within, count(&sequence.triggers)),
    };
    let (at, triggered) = (firing.at, firing.triggered);
    let event = firing.triggering_event;
    let fired = |firings| FiringOfTrigger {
        id: FiringId::new(),
        trigger: id,
        triggered,
        at,
        triggering_labels: BTreeMap::new(),
        triggering_firings: firings,
        triggering_event: event,
    };
    if expected == 1 {
        return Some(fired(vec![firing]));
    }
    if let Some(within) = within {
        children.forget_before(at, within);
    }
    children.0.insert(firing.trigger, firing);
    let is_complete = match parent {
        Trigger::Sequence(sequence) => children.are_in_order(sequence),
        _ => i64::try_from(children.0.len()).unwrap_or(i64::MAX) >= expected,
    };
    is_complete.then(|| fired(std::mem::take(&mut children.0).into_values().collect()))
}

fn count(triggers: &[Trigger]) -> i64 {
    i64::try_from(triggers.len()).unwrap_or(i64::MAX)
}

/// Returns how many triggers have to fire.
fn expected(compound: &CompoundTrigger) -> i64 {
    match compound.require {
        Require::Quantity(Quantity::Any) => 1,
        Require::Quantity(Quantity::All) => count(&compound.triggers),
        Require::Count(many) => many,
    }
}

impl ChildFirings {
    /// Forgets the firings from before the time within which all have to come.
    fn forget_before(&mut self, at: Timestamp, within: Seconds) {
        let from = at.plus_seconds(-within.as_f64());
        self.0.retain(|_, firing| firing.at >= from);
    }

    /// Tells whether all triggers of a sequence have fired, in their order.
    fn are_in_order(&self, sequence: &SequenceTrigger) -> bool {
        let mut firings: Vec<&FiringOfTrigger> = self.0.values().collect();
        firings.sort_by_key(|firing| (firing.at, firing.id));
        firings.iter().map(|firing| firing.trigger).eq(sequence.triggers.iter().map(Trigger::id))
    }

    /// Tells whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    struct Trial {
        parent: Trigger,
        children: ChildFirings,
    }

    impl Trial {
        fn new(fields: &Value, triggers: usize) -> Self {
            let child = || json!({"type": "event", "posture": "Reactive", "id": TriggerId::new()});
            let children: Vec<Value> = (0..triggers).map(|_| child()).collect();
            let mut trigger = json!({"triggers": children, "within": null, "id": TriggerId::new()});
            trigger.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            Self { parent: serde_json::from_value(trigger).unwrap(), children: ChildFirings::default() }
        }

        /// Lets the trigger of this place fire; returns how many firings made the parent fire.
        fn fires(&mut self, place: usize, seconds: f64) -> Option<usize> {
            let at = "2026-01-31T09:00:00Z".parse::<Timestamp>().unwrap().plus_seconds(seconds);
            let firing = FiringOfTrigger {
                id: FiringId::new(),
                trigger: self.parent.children()[place].id(),
                triggered: at,
                at,
                triggering_labels: BTreeMap::new(),
                triggering_firings: Vec::new(),
                triggering_event: None,
            };
            child_fired(&self.parent, &mut self.children, firing).map(|fired| fired.triggering_firings.len())
        }
    }

    #[test]
    fn any_one_will_do() {
        let mut trial = Trial::new(&json!({"type": "compound", "require": "any"}), 3);
        assert_eq!([trial.fires(1, 0.0), trial.fires(1, 1.0)], [Some(1), Some(1)]);
    }

    #[test]
    fn all_have_to_fire_in_any_order_and_then_again() {
        let mut trial = Trial::new(&json!({"type": "compound", "require": "all"}), 2);
        assert_eq!([trial.fires(1, 0.0), trial.fires(1, 1.0), trial.fires(0, 2.0)], [None, None, Some(2)]);
        assert!(trial.children.is_empty());
        assert_eq!([trial.fires(0, 3.0), trial.fires(1, 4.0)], [None, Some(2)]);
    }

    #[test]
    fn some_have_to_fire_within_a_time() {
        let mut trial = Trial::new(&json!({"type": "compound", "require": 2, "within": 10}), 3);
        assert_eq!([trial.fires(0, 0.0), trial.fires(1, 11.0), trial.fires(2, 21.0)], [None, None, Some(2)]);
    }

    #[test]
    fn a_sequence_has_an_order() {
        let mut trial = Trial::new(&json!({"type": "sequence"}), 2);
        assert_eq!([trial.fires(1, 0.0), trial.fires(0, 1.0), trial.fires(1, 2.0)], [None, None, Some(2)]);
        // What happened first counts as first, whenever it is heard of.
        assert_eq!([trial.fires(1, 9.0), trial.fires(0, 8.0)], [None, Some(2)]);
    }
}
