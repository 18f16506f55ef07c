//! The events that tell of a record's life: that it was made, changed and deleted.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::model::{Event, EventId, Named, Timestamp};
use error::Result;

/// The largest event that repeats what another record holds, in bytes of JSON: what Prefect takes of a client.
pub const LARGEST_EVENT: usize = 1_500_000;

/// A record whose life is told of in events, as Prefect's `<record>_created_event` and its siblings.
pub trait Lifecycle: Named {
    /// What the events and the resource are called after `prefect.`, such as `work-pool`.
    const RESOURCE: &'static str;

    /// Whether a new status is told of before what else the change has changed.
    const STATUS_FIRST: bool = false;

    /// Returns whether events tell of this very record, where they do of others of its kind.
    fn is_told(&self) -> bool {
        true
    }

    /// Returns the labels of the resource besides its id and name.
    fn labels(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Returns what the record has to do with, each thing in its role.
    fn related(&self) -> Vec<Value> {
        Vec::new()
    }

    /// Returns what the event of `action` relates to: for most records, the same whatever happens to them.
    fn related_to(&self, _action: Action) -> Vec<Value> {
        self.related()
    }

    /// Returns the status that the record has entered since it was `before`, where an event of its own tells of that.
    fn entered(&self, _before: Option<&Self>) -> Option<Status> {
        None
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

/// What happens to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Created,
    /// It is changed.
    Updated,
    /// It is deleted.
    Deleted,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// A status that a record has entered, as its event tells of it.
#[derive(Clone, Debug)]
pub struct Status {
    /// What the event is called after the resource, such as `not-ready`.
    pub name: String,
    /// The labels of the resource besides its id and name.
    pub labels: Vec<(&'static str, String)>,
    /// What the record has to do with.
    pub related: Vec<Value>,
    /// The event's id, where the record keeps it; else it derives from the version.
    pub id: Option<EventId>,
    /// The event of the status before, where this one follows it.
    pub follows: Option<EventId>,
}

/// Returns the events of a record that was made of `before` in this version of its item, in their order.
///
/// The ids derive from the record and the version, so that a change that is told of twice makes the same events. They
/// are a microsecond apart, so that readers find them in this order.
pub fn events<R: Lifecycle>(before: Option<&R>, record: &R, version: u64) -> Result<Vec<Event>> {
    if !record.is_told() {
        return Ok(Vec::new());
    }
    let change = match before {
        None => Some(created(record, version)?),
        Some(before) => updated(before, record, version)?,
    };
    let status = record.entered(before).map(|status| entered(record, status, version)).transpose()?;
    let told = if R::STATUS_FIRST && before.is_some() { [status, change] } else { [change, status] };
    Ok(a_moment_apart(told.into_iter().flatten()))
}

/// Returns `events`, which are of one time, each a microsecond after the one before.
pub fn a_moment_apart(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let mut later = Duration::ZERO;
    let apart = events.into_iter().map(|mut event| {
        event.occurred = event.occurred.plus(later);
        later += Duration::from_micros(1);
        event
    });
    apart.collect()
}

/// Returns the event of a record that was made in this version of its item.
pub fn created<R: Lifecycle>(record: &R, version: u64) -> Result<Event> {
    event(record, Action::Created, version, record.created(), &record.payload())
}

/// Returns the event of a record that was `before` and was changed in this version; none if that is not told of.
pub fn updated<R: Lifecycle>(before: &R, record: &R, version: u64) -> Result<Option<Event>> {
    let payload = record.update(before);
    payload.map(|payload| event(record, Action::Updated, version, record.updated(), &payload)).transpose()
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
    event(record, Action::Deleted, version, now, &record.payload())
}

fn event<R: Lifecycle>(
    record: &R,
    action: Action,
    version: u64,
    occurred: Timestamp,
    payload: &Value,
) -> Result<Event> {
    let (labels, related) = (record.labels(), record.related_to(action));
    told(record, action.as_str(), labels, &related, version, occurred, payload)
}

fn entered<R: Lifecycle>(record: &R, status: Status, version: u64) -> Result<Event> {
    let Status { name, labels, related, id, follows } = status;
    let event = told(record, &name, labels, &related, version, record.updated(), &json!({}))?;
    Ok(Event { id: id.unwrap_or(event.id), follows, ..event })
}

fn told<R: Lifecycle>(
    record: &R,
    what: &str,
    more_labels: Vec<(&'static str, String)>,
    related: &[Value],
    version: u64,
    occurred: Timestamp,
    payload: &Value,
) -> Result<Event> {
    let (resource, id) = (R::RESOURCE, record.uuid());
    let mut labels = Map::new();
    labels.insert("prefect.resource.id".into(), format!("prefect.{resource}.{id}").into());
    labels.insert("prefect.resource.name".into(), record.name().into());
    labels.extend(more_labels.into_iter().map(|(label, value)| (label.to_owned(), value.into())));
    let mut event = json!({
        "occurred": occurred,
        "event": format!("prefect.{resource}.{what}"),
        "resource": labels,
        "related": related,
        "payload": payload,
        "id": Uuid::new_v5(&id, format!("{what}#{version}").as_bytes()),
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
        FlowId, FlowRunId, ToldCollection, event::RelatedResource,
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
        let roles = event.related.iter().map(RelatedResource::role).collect::<Vec<_>>();
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
