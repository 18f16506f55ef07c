//! What is remembered of the triggers of automations: their windows, the events that they counted, what waits in them.
//!
//! An event is counted in the transaction that writes the window, so it counts once however often it comes. The item of a
//! window stays when none is open, and changes with each event that is counted or held: so whoever opens a window has seen all
//! events that were held before.

use std::collections::HashSet;

use domain::{
    automations::{ChildFirings, Firing, Seen, Window},
    model::{AutomationId, Event, FiringId, Timestamp, TriggerId},
};
use error::Result;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    CommitError, Item, Key, Record, Store, TableAccess, Versioned, Write,
    commit::was_written,
    query::Range,
    table::{self, Collection, Index, IndexKey, Shards},
};

/// How long it is remembered that an event was counted, or that no window is open, in seconds: 2 days.
///
/// DynamoDB's stream gives up after one.
const REMEMBERED: f64 = 2.0 * 86_400.0;

/// How long a firing is kept, in seconds: 7 days.
const FIRING_KEPT: f64 = 7.0 * 86_400.0;

/// What is known of a trigger of events, for one set of values of the labels that keep its evaluations apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerState {
    /// The automation.
    pub automation: AutomationId,
    /// The trigger.
    pub trigger: TriggerId,
    /// The values of the labels.
    #[serde(default)]
    pub values: Vec<String>,
    /// The window that is open.
    #[serde(default)]
    pub window: Option<Window>,
    /// When the server looks at it, if it acts when the window ends.
    #[serde(default)]
    pub due: Option<Timestamp>,
    /// Until when it matters at least.
    pub remembered: Timestamp,
}

impl TriggerState {
    /// Returns the place of a trigger's state for these values.
    pub fn group(trigger: TriggerId, values: &[String]) -> Uuid {
        let lengths = values.iter().map(|value| format!("{}:{value}", value.len()));
        Uuid::new_v5(&trigger.0, lengths.collect::<String>().as_bytes())
    }

    /// Makes the state with this `window`, seen at `now`.
    pub fn new(
        (automation, trigger): (AutomationId, TriggerId),
        values: Vec<String>,
        window: Option<Window>,
        is_proactive: bool,
        now: Timestamp,
    ) -> Self {
        let end = window.as_ref().map(|window| window.end);
        let remembered = end.map_or(now, |end| end.max(now)).plus_seconds(REMEMBERED);
        Self { automation, trigger, values, window, due: end.filter(|_| is_proactive), remembered }
    }

    fn group_of(&self) -> Uuid {
        Self::group(self.trigger, &self.values)
    }
}

crate::json_record!(TriggerState);

impl Record for TriggerState {
    const HEAD: &'static [&'static str] = &["due", "remembered"];

    fn key(&self) -> Key {
        table::trigger_state(self.trigger, self.group_of())
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let group = self.group_of();
        let place = |due: Timestamp| IndexKey {
            index: Index::Related,
            pk: shards.of(Collection::Timers, group),
            sk: table::sort_with_id(&due.sortable(), group),
        };
        self.due.map(place).into_iter().collect()
    }

    /// What is to be looked at stays until it was.
    fn expires(&self, _retention: f64) -> Option<Timestamp> {
        self.due.is_none().then_some(self.remembered)
    }
}

/// A note that a trigger has taken an event in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TakenEvent {
    /// The trigger.
    pub trigger: TriggerId,
    /// The place of the trigger's state.
    pub group: Uuid,
    /// The event.
    pub event: Seen,
    /// Whether the event is held for windows that open later.
    pub is_held: bool,
    /// Until when it matters.
    pub remembered: Timestamp,
}

impl TakenEvent {
    /// Makes the note of an event that was taken in at `now` by a trigger whose windows are `within` seconds wide.
    pub fn new((trigger, group): (TriggerId, Uuid), event: Seen, is_held: bool, within: f64, now: Timestamp) -> Self {
        let remembered = event.occurred.max(now).plus_seconds(within).plus_seconds(REMEMBERED);
        Self { trigger, group, event, is_held, remembered }
    }
}

crate::json_record!(TakenEvent);

impl Record for TakenEvent {
    const HEAD: &'static [&'static str] = &["event", "is_held", "remembered"];

    fn key(&self) -> Key {
        let Seen { id, occurred, .. } = self.event;
        if self.is_held {
            table::held_event(self.trigger, self.group, occurred, id)
        } else {
            table::taken_event(self.trigger, self.group, occurred, id)
        }
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }

    fn expires(&self, _retention: f64) -> Option<Timestamp> {
        Some(self.remembered)
    }
}

/// The firings that wait in a trigger of triggers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitingFirings {
    /// The trigger.
    pub trigger: TriggerId,
    /// The firings.
    pub firings: ChildFirings,
}

crate::json_record!(WaitingFirings);

impl Record for WaitingFirings {
    const HEAD: &'static [&'static str] = &["trigger"];

    fn key(&self) -> Key {
        table::waiting_firings(self.trigger)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

crate::json_record!(Firing);

impl Record for Firing {
    const HEAD: &'static [&'static str] = &["firing"];

    fn key(&self) -> Key {
        table::firing(self.firing.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }

    fn expires(&self, _retention: f64) -> Option<Timestamp> {
        Some(self.firing.triggered.plus_seconds(FIRING_KEPT))
    }
}

/// What became of an action of a firing.
///
/// It is written once, with what the action does where that is in the table; so whoever finds it leaves the action
/// alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CarriedOut {
    /// The firing.
    pub firing: FiringId,
    /// The action's place among all that the firing has carried out.
    pub action: usize,
    /// When that was.
    pub carried_out: Timestamp,
    /// The events that tell of it.
    pub events: Vec<Event>,
}

crate::json_record!(CarriedOut);

impl Record for CarriedOut {
    const HEAD: &'static [&'static str] = &["firing", "action", "carried_out"];

    fn key(&self) -> Key {
        table::carried_out(self.firing, self.action)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }

    /// It is there for longer than the firing.
    fn expires(&self, _retention: f64) -> Option<Timestamp> {
        Some(self.carried_out.plus_seconds(2.0 * FIRING_KEPT))
    }
}

/// What an evaluation changes, all of it at once.
#[derive(Clone, Debug, Default)]
pub struct Evaluated {
    /// States of triggers, each with the version that it was read at.
    pub states: Vec<(TriggerState, Option<u64>)>,
    /// Triggers of triggers, each with the version that it was read at.
    pub waiting: Vec<(WaitingFirings, Option<u64>)>,
    /// The events that were taken in.
    pub taken: Vec<TakenEvent>,
    /// The firings.
    pub firings: Vec<Firing>,
}

/// What evaluating automations touches.
pub const EVALUATE: TableAccess = TableAccess::WRITES_MANY;

impl Store {
    /// Reads the state of the triggers in these places, without those of which nothing is known.
    pub async fn trigger_states(&self, places: &[(TriggerId, Uuid)]) -> Result<Vec<Versioned<TriggerState>>> {
        let keys: Vec<Key> = places.iter().map(|(trigger, group)| table::trigger_state(*trigger, *group)).collect();
        self.get_all(&keys).await
    }

    /// Reads the state of a trigger under its key.
    pub async fn trigger_state(&self, key: &Key) -> Result<Option<Versioned<TriggerState>>> {
        self.get(key).await
    }

    /// Reads what waits in these triggers of triggers.
    pub async fn waiting_firings(&self, triggers: &[TriggerId]) -> Result<Vec<Versioned<WaitingFirings>>> {
        let keys: Vec<Key> = triggers.iter().copied().map(table::waiting_firings).collect();
        self.get_all(&keys).await
    }

    /// Returns which of these events were taken in before.
    pub async fn already_taken(&self, events: &[TakenEvent]) -> Result<HashSet<Key>> {
        let keys: Vec<Key> = events.iter().map(Record::key).collect();
        Ok(self.get_items(&keys).await?.into_iter().map(|item| item.key).collect())
    }

    /// Reads the events that a trigger holds from `start` until before `end`, by when they occurred, `limit` at most.
    pub async fn held_events(
        &self,
        (trigger, group): (TriggerId, Uuid),
        (start, end): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Seen>> {
        let range = Range::partition(table::trigger_partition(trigger, group))
            .between(Some(table::held_from(start)), Some(table::held_from(end)));
        let items = self.read(range, limit).more().await?.unwrap_or_default();
        let held = items.iter().filter_map(Item::readable::<TakenEvent>).map(|taken| taken.event);
        Ok(held.filter(|event| event.occurred < end).take(limit).collect())
    }

    /// Writes what an evaluation changes.
    ///
    /// # Errors
    /// [`CommitError::ConditionFailed`] if another evaluation came first: read and evaluate again.
    pub async fn write_evaluated(&self, evaluated: &Evaluated) -> Result<(), CommitError> {
        let mut writes = Vec::new();
        for (state, version) in &evaluated.states {
            writes.push(self.insert_or_replace(state, *version)?);
        }
        for (waiting, version) in &evaluated.waiting {
            writes.push(self.insert_or_replace(waiting, *version)?);
        }
        for taken in &evaluated.taken {
            writes.push(self.insert(taken)?);
        }
        for firing in &evaluated.firings {
            writes.push(self.insert(firing)?);
        }
        self.commit(writes).await
    }

    /// Adds firings that nothing else is remembered of; one that is there already stays.
    pub async fn add_firings(&self, firings: &[Firing]) -> Result<()> {
        let items = firings.iter().map(|firing| self.item(firing, 1)).collect::<Result<_>>()?;
        self.insert_missing(items).await
    }

    /// Reads a firing.
    pub async fn firing(&self, id: FiringId) -> Result<Option<Firing>> {
        Ok(self.get::<Firing>(&table::firing(id)).await?.map(|found| found.record))
    }

    /// Reads what became of an action of a firing, if it was carried out.
    pub async fn carried_out(&self, firing: FiringId, action: usize) -> Result<Option<CarriedOut>> {
        Ok(self.get(&table::carried_out(firing, action)).await?.map(|found| found.record))
    }

    /// Notes what became of an action, unless that was noted before; returns what is noted.
    pub async fn note_carried_out(&self, note: CarriedOut) -> Result<CarriedOut> {
        match self.commit(vec![self.insert(&note)?]).await {
            Ok(()) => Ok(note),
            Err(CommitError::ConditionFailed(_)) => {
                Ok(self.carried_out(note.firing, note.action).await?.unwrap_or(note))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Forgets the state of a trigger that is not evaluated any more, if it is still as it was read.
    pub async fn forget_trigger_state(&self, state: &Versioned<TriggerState>) -> Result<()> {
        was_written(self.commit(vec![Write::DeleteVersion(state.record.key(), state.version)]).await).map(drop)
    }

    fn insert_or_replace<R: Record>(&self, record: &R, version: Option<u64>) -> Result<Write> {
        match version {
            Some(version) => self.replace(record, version),
            None => self.insert(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;

    use super::*;
    use domain::model::EventId;

    async fn store() -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(3));
        store.create_table().await.unwrap();
        store
    }

    fn seen(occurred: Timestamp) -> Seen {
        Seen { id: EventId::new(), event: "a".into(), occurred }
    }

    #[test]
    fn groups_differ_wherever_values_do() {
        let trigger = TriggerId::new();
        let group = |values: &[&str]| {
            TriggerState::group(trigger, &values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(group(&["a", "b"]), group(&["a", "b"]));
        for other in [&["b", "a"][..], &["ab", ""], &["a"], &["a1:b"], &[]] {
            assert_ne!(group(&["a", "b"]), group(other), "{other:?}");
        }
        assert_ne!(group(&[]), TriggerState::group(TriggerId::new(), &[]));
    }

    #[tokio::test]
    async fn an_event_counts_once() {
        let (store, now) = (store().await, Timestamp::now());
        let (trigger, automation) = (TriggerId::new(), AutomationId::new());
        let place = (trigger, TriggerState::group(trigger, &[]));
        let state = TriggerState::new((automation, trigger), Vec::new(), None, false, now);
        let taken = TakenEvent::new(place, seen(now), true, 10.0, now);
        let evaluated =
            Evaluated { states: vec![(state.clone(), None)], taken: vec![taken.clone()], ..Evaluated::default() };
        store.write_evaluated(&evaluated).await.unwrap();
        assert!(matches!(store.write_evaluated(&evaluated).await, Err(CommitError::ConditionFailed(_))));
        let version = store.trigger_states(&[place]).await.unwrap()[0].version;
        let again =
            Evaluated { states: vec![(state, Some(version))], taken: vec![taken.clone()], ..Evaluated::default() };
        assert!(matches!(store.write_evaluated(&again).await, Err(CommitError::ConditionFailed(1))));
        assert_eq!(store.already_taken(std::slice::from_ref(&taken)).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn held_events_are_found_by_when_they_occurred() {
        let (store, now) = (store().await, Timestamp::now());
        let trigger = TriggerId::new();
        let place = (trigger, TriggerState::group(trigger, &["x".into()]));
        let mut held = Vec::new();
        for seconds in [0.0, 5.0, 10.0] {
            let event = seen(now.plus_seconds(seconds));
            held.push(event.clone());
            let taken = |is_held| TakenEvent::new(place, event.clone(), is_held, 10.0, now);
            store.commit(vec![store.insert(&taken(true)).unwrap()]).await.unwrap();
            store.commit(vec![store.insert(&taken(false)).unwrap()]).await.unwrap();
        }
        let window = |from: f64, to: f64| (now.plus_seconds(from), now.plus_seconds(to));
        assert_eq!(store.held_events(place, window(0.0, 10.0), 9).await.unwrap(), held[..2]);
        assert_eq!(store.held_events(place, window(1.0, 11.0), 9).await.unwrap(), held[1..]);
        assert_eq!(store.held_events(place, window(0.0, 11.0), 1).await.unwrap(), held[..1]);
        assert!(store.held_events((trigger, Uuid::new_v4()), window(0.0, 11.0), 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn only_what_acts_at_its_end_has_a_timer() {
        let (store, now) = (store().await, Timestamp::now());
        let window = Window { start: now, end: now.plus_seconds(10.0), count: 0, last: None };
        let mut states = Vec::new();
        for is_proactive in [true, false] {
            let ids = (AutomationId::new(), TriggerId::new());
            let state = TriggerState::new(ids, Vec::new(), Some(window.clone()), is_proactive, now);
            store.commit(vec![store.insert(&state).unwrap()]).await.unwrap();
            states.push(state);
        }
        let mut found = Vec::new();
        for partition in store.timer_partitions() {
            found.extend(store.timers(&partition, None, now.plus_seconds(11.0), 9).await.unwrap());
        }
        assert_eq!(found.iter().map(|timer| &timer.of).collect::<Vec<_>>(), [&states[0].key()]);
    }
}
