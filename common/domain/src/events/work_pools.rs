//! The events that tell of work pools and their queues, as Prefect's `work_pool_*_event` and `work_queue_*_event`.
//!
//! An update's event tells what a field was before, which the table's stream doesn't: so whoever changes a pool or queue
//! makes the events, and they are kept with it until the stream's consumer has passed them on.

use serde::Serialize;
use serde_json::{Value, json};

use error::{Error, Result};

use crate::model::{Event, EventId, Object, Timestamp, WorkPool, WorkQueue};

/// The fields that an update has changed, each with what it was and is, in the order in which Prefect lists them.
#[derive(Clone, Debug, Default)]
pub struct Updates(Object);

impl Updates {
    /// Notes the field `name`, if it is not what it was.
    pub fn note<T: Serialize + PartialEq>(&mut self, name: &str, before: &T, after: &T) -> Result<()> {
        if before != after {
            self.0.insert(name.to_owned(), json!({"from": value(before)?, "to": value(after)?}));
        }
        Ok(())
    }

    /// Says whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn payload(&self) -> Value {
        json!({"updated_fields": self.0.keys().collect::<Vec<_>>(), "updates": self.0})
    }
}

fn value<T: Serialize>(field: &T) -> Result<Value> {
    serde_json::to_value(field).map_err(Error::from)
}

/// Makes the event of a pool that is made; Prefect does not know its storage by then.
pub fn pool_created(pool: &WorkPool) -> Result<Event> {
    pool_event("created", pool, default_queue(pool).as_slice(), &json!({}))
}

/// Makes the event of a pool that is deleted.
pub fn pool_deleted(pool: &WorkPool) -> Result<Event> {
    pool_event("deleted", pool, &pool_related(pool), &json!({}))
}

/// Makes the event of a pool that has changed otherwise than in its status.
pub fn pool_updated(pool: &WorkPool, updates: &Updates) -> Result<Event> {
    pool_event("updated", pool, &[], &updates.payload())
}

/// Makes the event of a pool's status; it follows the event of the status before, if that was of late.
pub fn pool_status(pool: &WorkPool, follows: Option<EventId>) -> Result<Event> {
    let status = value(&pool.status.unwrap_or_default())?;
    let mut resource = pool_resource(pool);
    resource.remove("prefect.resource.role");
    event(&format!("work-pool.{}", kebab_case(&status)), &resource, &[], &json!({}), follows)
}

/// Makes the event of a queue of `pool` that is made.
pub fn queue_created(queue: &WorkQueue, pool: &WorkPool) -> Result<Event> {
    queue_event("created", queue, pool, &json!({}))
}

/// Makes the event of a queue of `pool` that is deleted.
pub fn queue_deleted(queue: &WorkQueue, pool: &WorkPool) -> Result<Event> {
    queue_event("deleted", queue, pool, &json!({}))
}

/// Makes the event of a queue of `pool` that has changed otherwise than in its status.
pub fn queue_updated(queue: &WorkQueue, pool: &WorkPool, updates: &Updates) -> Result<Event> {
    queue_event("updated", queue, pool, &updates.payload())
}

/// Makes the event of the status of a queue of `pool`.
pub fn queue_status(queue: &WorkQueue, pool: &WorkPool) -> Result<Event> {
    queue_event(&kebab_case(&value(&queue.status)?), queue, pool, &json!({}))
}

/// Writes `NOT_READY` as `not-ready`.
fn kebab_case(status: &Value) -> String {
    status.as_str().unwrap_or_default().to_lowercase().replace('_', "-")
}

fn pool_resource(pool: &WorkPool) -> Object {
    let labels = [
        ("prefect.resource.id", format!("prefect.work-pool.{}", pool.id)),
        ("prefect.resource.name", pool.name.clone()),
        ("prefect.work-pool.type", pool.r#type.clone()),
        ("prefect.resource.role", "work-pool".to_owned()),
    ];
    labels.into_iter().map(|(label, value)| (label.to_owned(), value.into())).collect()
}

fn pool_related(pool: &WorkPool) -> Vec<Value> {
    let storage = pool.storage_configuration.default_result_storage_block_id;
    let storage = storage.map(|id| related(&format!("prefect.block-document.{id}"), "result-storage"));
    default_queue(pool).into_iter().chain(storage).collect()
}

fn default_queue(pool: &WorkPool) -> Option<Value> {
    pool.default_queue_id.map(|id| related(&format!("prefect.work-queue.{id}"), "default-queue"))
}

fn related(id: &str, role: &str) -> Value {
    json!({"prefect.resource.id": id, "prefect.resource.role": role})
}

fn pool_event(name: &str, pool: &WorkPool, related: &[Value], payload: &Value) -> Result<Event> {
    event(&format!("work-pool.{name}"), &pool_resource(pool), related, payload, None)
}

fn queue_event(name: &str, queue: &WorkQueue, pool: &WorkPool, payload: &Value) -> Result<Event> {
    let labels = [
        ("prefect.resource.id", format!("prefect.work-queue.{}", queue.id)),
        ("prefect.resource.name", queue.name.clone()),
        ("prefect.resource.role", "work-queue".to_owned()),
    ];
    let resource = labels.into_iter().map(|(label, value)| (label.to_owned(), value.into())).collect();
    event(&format!("work-queue.{name}"), &resource, &[Value::Object(pool_resource(pool))], payload, None)
}

fn event(name: &str, resource: &Object, related: &[Value], payload: &Value, follows: Option<EventId>) -> Result<Event> {
    Ok(serde_json::from_value(json!({
        "occurred": Timestamp::now(),
        "event": format!("prefect.{name}"),
        "resource": resource,
        "related": related,
        "payload": payload,
        "id": EventId::new(),
        "follows": follows,
    }))?)
}
