//! Events in the table.
//!
//! Where an event stands follows from its id, so that one that is sent again meets itself, whatever else it says:
//!
//! - The event of a flow run's transition has the id of the state that was entered, from which the run follows. The
//!   run's states tell when that was, and that is where the event stands: among the events of its shard, which are in
//!   the order of time. When the run is deleted, a [`TransitionNote`] tells it instead.
//! - One whose id is of UUID version 7, as clients make them, stands there by its id. The order of these ids is that of
//!   the times at which they were made, and a client makes an id the moment the event occurs. So the partition lists
//!   the events by time, within [`DISTANCE`].
//! - Any other is an item by itself, and so were all that versions before this one wrote. So is what a client sends
//!   with the id of a flow run's state.
//!
//! What does not stand in the order of its time is in `by_time`.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
};

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    Item, Key, Record, Store, TableAccess, Write,
    backend::{Consistency, LARGEST_RECORD, text_size},
    schema::KeyPart,
    states,
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::model::{EventId, FlowRunId, ReceivedEvent, State, StateId, Timestamp};
use error::{Error, Result};

/// What the id of every flow run starts with when it is a resource.
pub const FLOW_RUN_RESOURCE: &str = "prefect.flow-run.";

/// The group in `related` of the events that relate to more than one flow run.
///
/// An item has one place in an index. These events are rare, so each query by flow run reads them too.
pub const SEVERAL_FLOW_RUNS: &str = "several";

/// How many microseconds may lie between the time that an event's id tells and its occurrence, for it to be in order.
///
/// A client makes both within a millisecond. Where 16 of its threads wait for each other, one in a hundred takes 25 ms.
///
/// It may grow, but never shrink: an event that stands farther from its time than readers look is not found.
pub(crate) const DISTANCE: i64 = 50_000;

/// After how many seconds an event arrives late, so that it may be one that an older version has written.
const LATE: f64 = 1.0;

/// How many seconds after a transition its event arrives at the latest, but for one that brings its own note.
///
/// A stream keeps a change for a day.
const LATEST: u32 = 86_400;

/// Of how many runs the states are read at once.
const RUNS_AT_ONCE: usize = 16;

/// Where an event stands among those of its shard, which are in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedPlace {
    /// At the time that its id tells, and by nothing but its id.
    Told(EventId),
    /// At the time at which it occurred.
    Occurred(Timestamp, EventId),
}

/// How many characters of an id of version 7 tell its time.
const LENGTH_OF_TIME: usize = 13;

impl TimedPlace {
    /// Reads the key of an event that stands in the order of time.
    pub(crate) fn of(key: &Key) -> Option<Self> {
        let place = key.sk.strip_prefix(table::TIMED_EVENTS)?;
        if let Ok(id) = place.parse() {
            return Some(Self::Told(id));
        }
        let (time, id) = place.split_at_checked(LENGTH_OF_TIME)?;
        let told: EventId = format!("{time}-7000-8000-000000000000").parse().ok()?;
        Some(Self::Occurred(told.told_time()?, id.strip_prefix('-')?.parse().ok()?))
    }

    /// Returns the event's id.
    pub(crate) fn id(self) -> EventId {
        match self {
            Self::Told(id) | Self::Occurred(_, id) => id,
        }
    }

    /// Returns the time at which the event stands, to the millisecond.
    pub(crate) fn time(self) -> Option<Timestamp> {
        match self {
            Self::Told(id) => id.told_time(),
            Self::Occurred(time, _) => Some(time),
        }
    }

    /// Says whether an event here, which occurred at `occurred`, has no entry in the index by time.
    pub(crate) fn is_in_order(self, occurred: Timestamp) -> bool {
        match self {
            Self::Told(id) => is_in_order(id, occurred),
            Self::Occurred(..) => true,
        }
    }

    /// Returns what the keys of the events that stand at a time start with, to the millisecond.
    pub(crate) fn start(time: Timestamp) -> String {
        let mut start = EventId::first_of(time).to_string();
        start.truncate(LENGTH_OF_TIME);
        start
    }
}

impl KeyPart for TimedPlace {
    /// The time is written as an id of version 7 begins, so that both kinds are in one order.
    fn part(&self) -> Cow<'_, str> {
        match self {
            Self::Told(id) => id.to_string().into(),
            Self::Occurred(time, id) => format!("{}-{id}", Self::start(*time)).into(),
        }
    }
}

#[cfg(test)]
impl crate::schema::samples::Sample for TimedPlace {
    fn sample() -> Self {
        Self::Occurred(Timestamp::now(), EventId::new())
    }
}

/// When a transition occurred whose event is kept longer than its flow run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransitionNote {
    /// The event, which tells the run.
    pub id: EventId,
    /// When it occurred.
    pub occurred: Timestamp,
}

crate::json_record!(TransitionNote);

impl Record for TransitionNote {
    const HEAD: &'static [&'static str] = &["id", "occurred"];

    fn key(&self) -> Key {
        table::transition_note(run_of(self.id), self.id)
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

impl TransitionNote {
    /// Returns the key of the event.
    pub(crate) fn key_of_event(&self, shards: Shards) -> Option<Key> {
        key_of_transition(self.id, self.occurred, shards)
    }
}

crate::json_record!(ReceivedEvent);

impl Record for ReceivedEvent {
    /// All but the payload, so that only a text search needs whole items.
    const HEAD: &'static [&'static str] = &["occurred", "event", "resource", "related", "id", "follows", "received"];

    /// Returns none: it depends on the shards.
    fn key(&self) -> Key {
        Key::nowhere()
    }

    fn key_in(&self, shards: Shards) -> Key {
        match (transition_of(self), self.id.told_time()) {
            (Some(run), _) => table::flow_run_event(run, self.id),
            (None, Some(_)) => table::timed_event_in(shards, TimedPlace::Told(self.id)),
            (None, None) => table::event(self.id),
        }
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let occurred = table::sort_with_id(&self.occurred.sortable(), self.id);
        let pk = shards.of(Collection::Events, self.id.0);
        let is_transition = transition_of(self).is_some();
        let mut index_keys = Vec::new();
        if is_transition || !is_in_order(self.id, self.occurred) {
            index_keys.push(IndexKey { index: Index::ByTime, pk, sk: occurred.clone() });
        }
        // Those of transitions are found by their run.
        if !is_transition {
            let pk = table::resource_lookup(self.resource.id());
            index_keys.push(IndexKey { index: Index::Lookup, pk, sk: occurred.clone() });
        }
        let flow_runs: BTreeSet<&str> = self
            .related
            .iter()
            .map(|related| related.resource().id())
            .filter(|id| id.starts_with(FLOW_RUN_RESOURCE))
            .collect();
        let related = match (flow_runs.first(), flow_runs.len()) {
            (None, _) => return index_keys,
            (Some(id), 1) => id,
            _ => SEVERAL_FLOW_RUNS,
        };
        let pk = shards.within(&table::related_lookup(related), self.id.0);
        index_keys.push(IndexKey { index: Index::Related, pk, sk: occurred });
        index_keys
    }
}

/// Returns the flow run whose state has an event's id, if it is the event's resource as well.
fn transition_of(event: &ReceivedEvent) -> Option<FlowRunId> {
    let run: FlowRunId = event.resource.id().strip_prefix(FLOW_RUN_RESOURCE)?.parse().ok()?;
    (run_of(event.id) == run).then_some(run)
}

/// Returns the flow run whose transition the event `id` tells of, if it tells of one.
fn run_of(id: EventId) -> FlowRunId {
    FlowRunId::of_state(StateId(id.0))
}

/// Returns the key of the event of a transition that occurred at a time; nothing before 1970, which no place tells.
pub(crate) fn key_of_transition(id: EventId, occurred: Timestamp, shards: Shards) -> Option<Key> {
    (occurred.as_micros() >= 0).then(|| table::timed_event_in(shards, TimedPlace::Occurred(occurred, id)))
}

/// Says whether the place of an event among ids is that of its occurrence, nearly.
fn is_in_order(id: EventId, occurred: Timestamp) -> bool {
    id.told_time().is_some_and(|told| occurred.as_micros().abs_diff(told.as_micros()) <= DISTANCE.unsigned_abs())
}

/// Returns the keys under one of which the event `id` is, if it is there and does not tell of a transition.
fn told_under(id: EventId, shards: Shards) -> impl Iterator<Item = Key> {
    let timed = id.told_time().map(|_| table::timed_event_in(shards, TimedPlace::Told(id)));
    [Some(table::event(id)), timed].into_iter().flatten()
}

/// What [`Store::add_events`] touches.
pub const ADD: TableAccess = TableAccess::WRITES_MANY;

/// An event that is about to be kept.
struct New {
    item: Item,
    /// Where an older version may have written it.
    older: Option<Key>,
}

impl Store {
    /// Keeps `events` for `retention` seconds after they happened or arrived; an event that is there already stays.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before anything is written, if an event is over [`LARGEST_RECORD`]. Otherwise the first
    /// failure of the store: the caller repeats the batch, which changes nothing twice.
    pub async fn add_events(&self, events: &[ReceivedEvent], retention: u64) -> Result<()> {
        let mut added = events.iter().map(|event| self.new_event(event, retention)).collect::<Result<Vec<_>>>()?;
        let of_states: Vec<EventId> =
            events.iter().filter(|event| transition_of(event).is_some()).map(|event| event.id).collect();
        if !of_states.is_empty() {
            // A client sends what it has read before, as from a backup.
            let there = self.events_by_id(&of_states).await?;
            let there: HashSet<Key> = there.iter().map(|event| event.key_in(self.shards())).collect();
            added.retain(|new| !there.contains(&new.item.key));
        }
        self.add_new(added, Consistency::Strong).await
    }

    /// Keeps the events of transitions that flow runs have made, as [`Self::add_events`] does with others.
    ///
    /// Each has the id of the state that was entered, and occurred at the time of that.
    ///
    /// # Errors
    /// Those of [`Self::add_events`].
    pub async fn add_transitions(&self, events: &[ReceivedEvent], retention: u64) -> Result<()> {
        let (mut added, mut notes) = (Vec::with_capacity(events.len()), Vec::new());
        for event in events {
            let mut new = self.new_event(event, retention)?;
            let place = transition_of(event).and_then(|_| key_of_transition(event.id, event.occurred, self.shards()));
            if let Some(key) = place {
                new.item.index_keys.remove(&Index::ByTime.partition());
                new.item.index_keys.remove(&Index::ByTime.sort());
                let older = std::mem::replace(&mut new.item.key, key);
                new.older = is_late(event).then_some(older);
                if event.received.seconds_since(event.occurred) > f64::from(LATEST) {
                    let note = TransitionNote { id: event.id, occurred: event.occurred };
                    notes.push(Write::Put(Item { expires: new.item.expires, ..self.item(&note, 1)? }));
                }
            }
            added.push(new);
        }
        for note in notes {
            self.commit(vec![note]).await?;
        }
        // A stream tells once more after a while, at half the cost of a look at what was written a moment ago.
        self.add_new(added, Consistency::Eventual).await
    }

    /// Adds those events that are not there yet, nor where older versions wrote them.
    ///
    /// Only late ones are looked for there, each for a read unit: who was told nothing, as by a server that ended,
    /// sends them again.
    async fn add_new(&self, mut added: Vec<New>, consistency: Consistency) -> Result<()> {
        let older: Vec<Key> = added.iter().filter_map(|new| new.older.clone()).collect();
        if !older.is_empty() {
            let there = self.get_items_as(&older, consistency).await?;
            let there: HashSet<Key> = there.into_iter().map(|item| item.key).collect();
            added.retain(|new| new.older.as_ref().is_none_or(|older| !there.contains(older)));
        }
        // Of those with one id the first one counts.
        let mut seen = HashSet::with_capacity(added.len());
        let items = added.into_iter().map(|new| new.item).filter(|item| seen.insert(item.key.clone()));
        self.insert_missing(items.collect()).await
    }

    /// Leaves notes of the transitions whose flow runs, or states, were `removed`, as long as their events are kept for
    /// `retention` seconds.
    ///
    /// It does not depend on whether the events are there: that of a run's last transition may come later. What is
    /// noted follows from the states alone, so that a repeat changes nothing.
    pub async fn note_transitions(&self, removed: &[&Item], retention: u64, now: Timestamp) -> Result<()> {
        let kept = u64::from(LATEST).saturating_add(retention);
        let mut notes = Vec::new();
        for item in removed {
            for State { id, timestamp: occurred, .. } in states::told_states(item) {
                let expires = occurred.as_seconds().saturating_add(i64::try_from(kept).unwrap_or(i64::MAX));
                if expires > now.as_seconds() {
                    let note = TransitionNote { id: EventId(id.0), occurred };
                    notes.push(Item { expires: Some(expires), ..self.item(&note, 1)? });
                }
            }
        }
        if notes.is_empty() { Ok(()) } else { self.insert_missing(notes).await }
    }

    /// Reads an event.
    pub async fn event(&self, id: EventId) -> Result<Option<ReceivedEvent>> {
        Ok(self.events_by_id(&[id]).await?.into_iter().next())
    }

    /// Reads an event that does not tell of a flow run's transition.
    pub(super) async fn told_event(&self, id: EventId) -> Result<Option<ReceivedEvent>> {
        let keys: Vec<Key> = told_under(id, self.shards()).collect();
        Ok(self.get_all(&keys).await?.into_iter().next().map(|found| found.record))
    }

    /// Reads events, in the order of the ids and without those that are not there.
    pub async fn events_by_id(&self, ids: &[EventId]) -> Result<Vec<ReceivedEvent>> {
        let keys_of = |id| std::iter::once(table::flow_run_event(run_of(id), id)).chain(told_under(id, self.shards()));
        let keys: Vec<Key> = ids.iter().copied().flat_map(keys_of).collect();
        let mut events = HashMap::with_capacity(ids.len());
        for found in self.get_many::<ReceivedEvent>(&keys).await? {
            events.entry(found.record.id).or_insert(found.record);
        }
        let missing: HashSet<EventId> = ids.iter().copied().filter(|id| !events.contains_key(id)).collect();
        if !missing.is_empty() {
            let keys = self.keys_of_transitions(&missing).await?;
            let found = self.get_many::<ReceivedEvent>(&keys).await?;
            events.extend(found.into_iter().map(|found| (found.record.id, found.record)));
        }
        Ok(ids.iter().filter_map(|id| events.remove(id)).collect())
    }

    /// Returns the keys of those events `ids` that tell of transitions, as the states of their runs say, or notes.
    async fn keys_of_transitions(&self, ids: &HashSet<EventId>) -> Result<Vec<Key>> {
        let keys: Vec<Key> = ids.iter().map(|id| table::transition_note(run_of(*id), *id)).collect();
        let runs: HashSet<FlowRunId> = ids.iter().map(|id| run_of(*id)).collect();
        let histories = stream::iter(runs).map(|run| self.flow_run_states(run)).buffer_unordered(RUNS_AT_ONCE);
        let (notes, histories) =
            futures::try_join!(self.get_many::<TransitionNote>(&keys), histories.try_collect::<Vec<Vec<State>>>())?;
        let entered = histories.into_iter().flatten().map(|state| (EventId(state.id.0), state.timestamp));
        let of_deleted = notes.into_iter().map(|found| (found.record.id, found.record.occurred));
        let told = entered.chain(of_deleted).filter(|(id, _)| ids.contains(id));
        Ok(told.filter_map(|(id, occurred)| key_of_transition(id, occurred, self.shards())).collect())
    }

    /// Makes the item of an event that is about to be kept, under the key that it has by itself.
    fn new_event(&self, event: &ReceivedEvent, retention: u64) -> Result<New> {
        let stands_elsewhere = event.id.told_time().is_some() && transition_of(event).is_none();
        let older = (stands_elsewhere && is_late(event)).then(|| table::event(event.id));
        Ok(New { item: self.event_item(event, retention)?, older })
    }

    fn event_item(&self, event: &ReceivedEvent, retention: u64) -> Result<Item> {
        let mut item = Item::of(event, 1, self.shards())?;
        if text_size(&item) > LARGEST_RECORD {
            return Err(Error::TooLarge(format!(
                "The event {} is larger than the {LARGEST_RECORD} bytes that the store takes",
                event.id
            )));
        }
        let kept_from = event.occurred.max(event.received).as_seconds();
        item.expires = Some(kept_from.saturating_add(i64::try_from(retention).unwrap_or(i64::MAX)));
        Ok(item)
    }
}

/// Says whether an event arrives so late that an older version may have written it.
fn is_late(event: &ReceivedEvent) -> bool {
    event.received.seconds_since(event.occurred) > LATE
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(related: &[&str]) -> ReceivedEvent {
        let related: Vec<_> =
            related.iter().map(|id| json!({"prefect.resource.id": id, "prefect.resource.role": "x"})).collect();
        serde_json::from_value(json!({
            "occurred": "2026-01-31T09:30:00Z",
            "event": "kettle.boiled",
            "resource": {"prefect.resource.id": "kettle"},
            "related": related,
            "id": "b9f77e07-3cf7-4653-b811-79fdb8d2f369",
            "received": "2026-01-31T09:30:01Z",
        }))
        .unwrap()
    }

    fn related_partition(related: &[&str]) -> Option<String> {
        let index_keys = event(related).index_keys(Shards(1));
        index_keys.into_iter().find(|place| place.index == Index::Related).map(|place| place.pk)
    }

    #[test]
    fn relates_to_its_one_flow_run_or_to_several() {
        assert_eq!(related_partition(&["prefect.flow.1", "prefect.tag.x"]), None);
        let one = ["prefect.tag.x", "prefect.flow-run.1", "prefect.flow-run.1"];
        assert_eq!(related_partition(&one).unwrap(), "related#prefect.flow-run.1#0");
        let two = ["prefect.flow-run.1", "prefect.flow-run.2"];
        assert_eq!(related_partition(&two).unwrap(), "related#several#0");
    }

    /// Returns an event whose id tells a time, so many microseconds before it occurred.
    fn told(id: EventId, micros: i64) -> ReceivedEvent {
        let told = id.told_time().unwrap();
        ReceivedEvent { id, occurred: Timestamp::from_micros(told.as_micros() + micros).unwrap(), ..event(&[]) }
    }

    #[test]
    fn what_occurs_when_its_id_tells_is_in_no_index_by_time() {
        let (id, shards) = (EventId::new(), Shards(20));
        for (micros, is_by_time) in
            [(0, false), (DISTANCE, false), (-DISTANCE, false), (DISTANCE + 1, true), (-DISTANCE - 1, true)]
        {
            let event = told(id, micros);
            let indexes: Vec<Index> = event.index_keys(shards).into_iter().map(|place| place.index).collect();
            let expected: &[Index] = if is_by_time { &[Index::ByTime, Index::Lookup] } else { &[Index::Lookup] };
            assert_eq!(indexes, expected, "{micros}");
            assert_eq!(
                event.key_in(shards),
                table::timed_event_in(shards, TimedPlace::Told(id)),
                "it stands where its id says"
            );
        }
        assert_eq!(event(&[]).key_in(shards), table::event(event(&[]).id));
        let run = FlowRunId::new();
        let transition = ReceivedEvent { id: EventId(run.state_id(1).0), ..event(&[]) };
        let resource = serde_json::from_value(json!({"prefect.resource.id": format!("{FLOW_RUN_RESOURCE}{run}")}));
        let transition = ReceivedEvent { resource: resource.unwrap(), ..transition };
        assert_eq!(transition.key_in(shards), table::flow_run_event(run, transition.id));
        assert_eq!(transition.index_keys(shards)[0].index, Index::ByTime);
    }

    #[test]
    fn what_stands_in_the_order_of_time_tells_its_time_and_its_id_by_its_key() {
        let (shards, id) = (Shards(20), EventId::new());
        let before_all = Timestamp::from_micros(-1).unwrap();
        let of_millis = |time: Timestamp| time.as_micros().div_euclid(1_000);
        let times = ["1970-01-01T00:00:00Z", "2026-01-31T09:30:00.123456Z", "9999-12-31T23:59:59.999999Z"];
        for time in times.map(|time| time.parse::<Timestamp>().unwrap()) {
            let key = key_of_transition(id, time, shards).unwrap();
            let Some(TimedPlace::Occurred(told, of)) = TimedPlace::of(&key) else { panic!("{key:?}") };
            assert_eq!((of, of_millis(told)), (id, of_millis(time)));
            assert_eq!(key, table::timed_event_in(shards, TimedPlace::Occurred(told, id)));
            assert_eq!(key.pk, table::timed_event_in(shards, TimedPlace::Told(id)).pk, "the id tells the shard");
        }
        assert_eq!(TimedPlace::of(&table::timed_event_in(shards, TimedPlace::Told(id))), Some(TimedPlace::Told(id)));
        assert_eq!(TimedPlace::of(&Key::new("events_at#0", "event#0199aaaa-bbbb")), None);
        assert_eq!(key_of_transition(id, before_all, shards), None);
    }

    #[test]
    fn both_kinds_in_the_order_of_time_are_in_one_order() {
        let micros = |millis: i64| Timestamp::from_micros(1_769_851_800_000_000 + millis * 1_000).unwrap();
        let told = |millis: i64| EventId::first_of(micros(millis)).0.as_u128() + (7 << 76) + (2 << 62);
        let mut keys: Vec<(String, i64)> = Vec::new();
        for millis in [0, 1, 5, 4_096, 70_000, 5_000_000_000] {
            let told = EventId(uuid::Uuid::from_u128(told(millis)));
            keys.push((TimedPlace::Told(told).part().into_owned(), millis));
            keys.push((TimedPlace::Occurred(micros(millis), EventId::new()).part().into_owned(), millis));
        }
        let times: Vec<i64> = keys.iter().map(|(_, millis)| *millis).collect();
        keys.sort();
        assert_eq!(keys.iter().map(|(_, millis)| *millis).collect::<Vec<_>>(), times);
        assert!(keys.iter().all(|(key, millis)| key.starts_with(&TimedPlace::start(micros(*millis)))));
    }

    #[test]
    fn everything_but_the_payload_is_in_the_head() {
        let item = Item::of(&event(&[]), 1, Shards(1)).unwrap();
        let projected = Item { tail: None, ..item };
        assert_eq!(projected.record::<ReceivedEvent>().unwrap(), event(&[]));
    }
}
