//! The events that tell of a record's life: that it was made, changed and deleted.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::model::{Event, Timestamp};
use error::Result;

/// The largest event that is kept, in bytes of JSON: what an item of the table holds, less its keys.
pub const LARGEST_EVENT: usize = 390_000;

/// A record whose life is told of in events, as Prefect's `<record>_created_event` and its siblings.
pub trait Lifecycle {
    /// What the events and the resource are called after `prefect.`, such as `work-pool`.
    const RESOURCE: &'static str;

    /// Returns the record's id.
    fn uuid(&self) -> Uuid;

    /// Returns the resource's name.
    fn name(&self) -> &str;

    /// Returns when the record was made.
    fn created(&self) -> Timestamp;

    /// Returns when the record was last changed.
    fn updated(&self) -> Timestamp;

    /// Returns the labels of the resource besides its id and name.
    fn labels(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Returns what the record has to do with, each thing in its role.
    fn related(&self) -> Vec<Value> {
        Vec::new()
    }

    /// Returns what the events of its beginning and end say of the record.
    fn payload(&self) -> Value {
        json!({})
    }

    /// Returns what an event says instead where it would be larger than [`LARGEST_EVENT`], if the record may be so large.
    fn short_payload(&self) -> Option<Value> {
        None
    }

    /// Returns what the event of a change says that made this of `before`; none if the change is not told of.
    fn update(&self, _before: &Self) -> Option<Value> {
        Some(self.payload())
    }
}

/// Returns the event of a record that was made in this version of its item.
///
/// The id derives from the record and the version, so that a change that is told of twice is one event.
pub fn created<R: Lifecycle>(record: &R, version: u64) -> Result<Event> {
    event(record, "created", version, record.created(), &record.payload())
}

/// Returns the event of a record that was `before` and was changed in this version; none if that is not told of.
pub fn updated<R: Lifecycle>(before: &R, record: &R, version: u64) -> Result<Option<Event>> {
    let payload = record.update(before);
    payload.map(|payload| event(record, "updated", version, record.updated(), &payload)).transpose()
}

/// Returns the event of a record that is so in this version and was `before`, or was not; none if that is not told of.
pub fn changed<R: Lifecycle>(before: Option<&R>, record: &R, version: u64) -> Result<Option<Event>> {
    match before {
        None => created(record, version).map(Some),
        Some(before) => updated(before, record, version),
    }
}

/// Returns the event of a record that is deleted at `now`, in its version `version`.
pub fn deleted<R: Lifecycle>(record: &R, version: u64, now: Timestamp) -> Result<Event> {
    event(record, "deleted", version, now, &record.payload())
}

fn event<R: Lifecycle>(record: &R, action: &str, version: u64, occurred: Timestamp, payload: &Value) -> Result<Event> {
    let (resource, id) = (R::RESOURCE, record.uuid());
    let mut labels = Map::new();
    labels.insert("prefect.resource.id".into(), format!("prefect.{resource}.{id}").into());
    labels.insert("prefect.resource.name".into(), record.name().into());
    labels.extend(record.labels().into_iter().map(|(label, value)| (label.to_owned(), value.into())));
    let mut event = json!({
        "occurred": occurred,
        "event": format!("prefect.{resource}.{action}"),
        "resource": labels,
        "related": record.related(),
        "payload": payload,
        "id": Uuid::new_v5(&id, format!("{action}#{version}").as_bytes()),
    });
    if let Some(short) = record.short_payload()
        && event.to_string().len() > LARGEST_EVENT
    {
        event["payload"] = short;
    }
    Ok(serde_json::from_value(event)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Artifact, ArtifactCollection, ArtifactCollectionId, ArtifactId, ConcurrencyLimit, ConcurrencyLimitId, Flow,
        FlowId, FlowRunId, ToldCollection,
    };

    fn time(second: u8) -> Timestamp {
        format!("2026-01-31T09:30:{second:02}Z").parse().unwrap()
    }

    fn flow() -> Flow {
        let mut flow = Flow::new(FlowId::new(), "a flow", time(0));
        (flow.tags, flow.updated) = (vec!["b".into(), "a".into()], time(1));
        flow
    }

    #[test]
    fn a_record_is_created_and_then_updated() {
        let flow = flow();
        let made = changed(None, &flow, 1).unwrap().unwrap();
        assert_eq!((made.event.as_str(), made.occurred), ("prefect.flow.created", flow.created));
        let event = |version| changed(Some(&flow), &flow, version).unwrap().unwrap();
        assert_eq!((event(2).event.as_str(), event(2).occurred), ("prefect.flow.updated", flow.updated));
        assert_eq!(json!(event(2).payload), json!({"name": "a flow", "tags": ["b", "a"], "labels": {}}));
        assert_eq!(event(2), event(2));
        assert_ne!(event(2).id, event(3).id);
    }

    #[test]
    fn a_deletion_tells_of_the_record_as_it_was_last() {
        let flow = flow();
        let event = deleted(&flow, 3, time(2)).unwrap();
        assert_eq!((event.event.as_str(), event.occurred), ("prefect.flow.deleted", time(2)));
        assert_eq!(event.resource.id(), format!("prefect.flow.{}", flow.id));
        assert_eq!(event.resource.label("prefect.resource.name"), Some("a flow"));
        assert!(event.related.is_empty());
    }

    #[test]
    fn a_limit_tells_of_its_definition_alone() {
        let mut limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), "a limit", 3, time(0));
        limit.active_slots = 2;
        let event = created(&limit, 1).unwrap();
        assert_eq!(event.event, "prefect.concurrency-limit.created");
        let payload = json!({"name": "a limit", "limit": 3, "active": true, "slot_decay_per_second": 0.0});
        assert_eq!(json!(event.payload), payload);
    }

    fn collection(data: Value) -> ToldCollection {
        let mut latest = Artifact::new(ArtifactId::new(), time(0));
        (latest.data, latest.r#type, latest.flow_run_id) = (Some(data), Some("table".into()), Some(FlowRunId::new()));
        ToldCollection::new(ArtifactCollection::new(ArtifactCollectionId::new(), "report", &latest), Some(latest))
    }

    #[test]
    fn a_collection_tells_what_its_latest_artifact_holds() {
        let event = created(&collection(json!({"rows": 2})), 1).unwrap();
        assert_eq!(event.event, "prefect.artifact-collection.created");
        assert_eq!(event.resource.label("prefect.resource.name"), Some("report"));
        let payload = json!({"key": "report", "type": "table", "data": {"rows": 2}, "description": null});
        assert_eq!(json!(event.payload), payload);
        let roles = event.related.iter().map(|related| related.role()).collect::<Vec<_>>();
        assert_eq!(roles, ["latest", "flow-run"]);
    }

    #[test]
    fn what_is_too_large_for_an_event_is_left_out() {
        let large = collection("x".repeat(LARGEST_EVENT).into());
        let payload = |event: Event| json!(event.payload);
        assert_eq!(payload(changed(Some(&large), &large, 2).unwrap().unwrap()), json!({"type": "table"}));
        assert_eq!(payload(deleted(&large, 2, time(1)).unwrap()), json!({"type": "table"}));
    }
}
