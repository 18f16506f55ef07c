//! The events that tell of a record's life: that it was made, changed and deleted.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::model::{Event, Timestamp};
use error::Result;

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
    Ok(serde_json::from_value(json!({
        "occurred": occurred,
        "event": format!("prefect.{resource}.{action}"),
        "resource": labels,
        "related": record.related(),
        "payload": payload,
        "id": Uuid::new_v5(&id, format!("{action}#{version}").as_bytes()),
    }))?)
}
