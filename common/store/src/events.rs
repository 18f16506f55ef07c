//! Events in the table.

use std::collections::BTreeSet;

use super::{
    Item, Key, Record, Store, TableAccess,
    backend::{LARGEST_RECORD, text_size},
    table::{self, Collection, Index, IndexKey, Shards},
};
use domain::model::{EventId, FlowRunId, ReceivedEvent, StateId};
use error::{Error, Result};

/// What the id of every flow run starts with when it is a resource.
pub const FLOW_RUN_RESOURCE: &str = "prefect.flow-run.";

/// The group in `related` of the events that relate to more than one flow run.
///
/// An item has one place in an index. These events are rare, so each query by flow run reads them too.
pub const SEVERAL_FLOW_RUNS: &str = "several";

crate::json_record!(ReceivedEvent);

impl Record for ReceivedEvent {
    /// All but the payload, so that only a text search needs whole items.
    const HEAD: &'static [&'static str] = &["occurred", "event", "resource", "related", "id", "follows", "received"];

    fn key(&self) -> Key {
        match transition_of(self) {
            Some(run) => table::flow_run_event(run, self.id),
            None => table::event(self.id),
        }
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let occurred = table::sort_with_id(&self.occurred.sortable(), self.id);
        let pk = shards.of(Collection::Events, self.id.0);
        let mut index_keys = vec![IndexKey { index: Index::ByTime, pk, sk: occurred.clone() }];
        // Those of transitions are beside each other in the table.
        if transition_of(self).is_none() {
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

/// Returns the keys under one of which the event `id` is, if it is there.
fn keys_of(id: EventId) -> [Key; 2] {
    [table::flow_run_event(FlowRunId::of_state(StateId(id.0)), id), table::event(id)]
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
        let items = events.iter().map(|event| self.event_item(event, retention)).collect::<Result<Vec<_>>>()?;
        self.insert_missing(items).await
    }

    /// Reads an event.
    pub async fn event(&self, id: EventId) -> Result<Option<ReceivedEvent>> {
        Ok(self.events_by_id(&[id]).await?.into_iter().next())
    }

    /// Reads an event that does not tell of a flow run's transition.
    pub(super) async fn told_event(&self, id: EventId) -> Result<Option<ReceivedEvent>> {
        Ok(self.get(&table::event(id)).await?.map(|found| found.record))
    }

    /// Reads events, in the order of the ids and without those that are not there.
    pub async fn events_by_id(&self, ids: &[EventId]) -> Result<Vec<ReceivedEvent>> {
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

    #[test]
    fn everything_but_the_payload_is_in_the_head() {
        let item = Item::of(&event(&[]), 1, Shards(1)).unwrap();
        let projected = Item { tail: None, ..item };
        assert_eq!(projected.record::<ReceivedEvent>().unwrap(), event(&[]));
    }
}
