//! Events in the table.
//!
//! Where an event stands follows from its id, so that one that is sent again meets itself, whatever else it says:
//!
//! - The event of a flow run's transition is in a partition of the run, which its id tells.
//! - One whose id is of UUID version 7, as clients make them, is in a partition of its shard, whose sort keys are the
//!   ids. Their order is that of the times at which they were made, and a client makes an id the moment the event
//!   occurs. So the partition lists the events by time, within [`DISTANCE`], and these need no entry in `by_time`.
//! - Any other is an item by itself, and so were all that versions before this one wrote.
//!
//! What does not stand in the order of its time is in `by_time`.

use std::collections::{BTreeSet, HashSet};

use super::{
    Item, Key, Record, Store, TableAccess,
    backend::{LARGEST_RECORD, text_size},
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::model::{EventId, FlowRunId, ReceivedEvent, StateId, Timestamp};
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
            (None, Some(_)) => table::timed_event_in(shards, self.id),
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
        // Those of transitions are beside each other in the table.
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

/// Returns the flow run whose transition an event tells of, if the id tells it as well.
fn transition_of(event: &ReceivedEvent) -> Option<FlowRunId> {
    let run: FlowRunId = event.resource.id().strip_prefix(FLOW_RUN_RESOURCE)?.parse().ok()?;
    (FlowRunId::of_state(StateId(event.id.0)) == run).then_some(run)
}

/// Says whether the place of an event among ids is that of its occurrence, nearly.
pub(crate) fn is_in_order(id: EventId, occurred: Timestamp) -> bool {
    id.told_time().is_some_and(|told| occurred.as_micros().abs_diff(told.as_micros()) <= DISTANCE.unsigned_abs())
}

/// Returns the keys under one of which the event `id` is, if it is there and does not tell of a transition.
fn told_under(id: EventId, shards: Shards) -> impl Iterator<Item = Key> {
    [Some(table::event(id)), id.told_time().map(|_| table::timed_event_in(shards, id))].into_iter().flatten()
}

/// What [`Store::add_events`] touches.
pub const ADD: TableAccess = TableAccess::WRITES_MANY;

impl Store {
    /// Keeps `events` for `retention` seconds after they happened or arrived; an event that is there already stays.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before anything is written, if an event is over [`LARGEST_RECORD`]. Otherwise the first
    /// failure of the store: the caller repeats the batch, which changes nothing twice.
    pub async fn add_events(&self, events: &[ReceivedEvent], retention: u64) -> Result<()> {
        let mut items = events.iter().map(|event| self.event_item(event, retention)).collect::<Result<Vec<_>>>()?;
        let mut there = self.kept_by_older_versions(events).await?;
        // Of those with one id the first one counts.
        items.retain(|item| there.insert(item.key.clone()));
        self.insert_missing(items).await
    }

    /// Returns the keys of those of `events` that are there under the keys that older versions gave them.
    ///
    /// Only late ones are looked for, each for a read unit: who was told nothing, as by a server that ended, sends them
    /// again.
    async fn kept_by_older_versions(&self, events: &[ReceivedEvent]) -> Result<HashSet<Key>> {
        let is_late = |event: &&ReceivedEvent| event.received.seconds_since(event.occurred) > LATE;
        let stands_elsewhere =
            |event: &&ReceivedEvent| event.id.told_time().is_some() && transition_of(event).is_none();
        let sought = events.iter().filter(is_late).filter(stands_elsewhere);
        let keys: Vec<Key> = sought.map(|event| table::event(event.id)).collect();
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let found: HashSet<Key> = self.get_items(&keys).await?.into_iter().map(|item| item.key).collect();
        let is_there = |event: &&ReceivedEvent| found.contains(&table::event(event.id));
        Ok(events.iter().filter(is_there).map(|event| event.key_in(self.shards())).collect())
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
        let transition = |id: EventId| table::flow_run_event(FlowRunId::of_state(StateId(id.0)), id);
        let keys_of = |id: EventId| std::iter::once(transition(id)).chain(told_under(id, self.shards()));
        let keys: Vec<Key> = ids.iter().copied().flat_map(keys_of).collect();
        let mut events: Vec<ReceivedEvent> =
            self.get_many(&keys).await?.into_iter().map(|found| found.record).collect();
        events.dedup_by_key(|event| event.id);
        Ok(events)
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
            assert_eq!(event.key_in(shards), table::timed_event_in(shards, id), "it stands where its id says");
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
    fn everything_but_the_payload_is_in_the_head() {
        let item = Item::of(&event(&[]), 1, Shards(1)).unwrap();
        let projected = Item { tail: None, ..item };
        assert_eq!(projected.record::<ReceivedEvent>().unwrap(), event(&[]));
    }
}
