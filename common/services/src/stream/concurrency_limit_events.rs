//! The events `prefect.concurrency-limit.created`, `.updated` and `.deleted`, as Prefect's
//! `concurrency_limit_v2_created_event` and its siblings.
//!
//! A slot that is taken or given back changes the item as well, and is no event.

use serde_json::json;
use uuid::Uuid;

use domain::model::{ConcurrencyLimit, Event, Timestamp};
use error::Result;
use store::{Item, concurrency_limits::DeletedConcurrencyLimit, table::Subject};

/// Returns the event of a change of a limit's definition; nothing for any other change.
pub(super) fn event_of(item: &Item) -> Result<Option<Event>> {
    Ok(Some(match Subject::of(&item.key) {
        Some(Subject::ConcurrencyLimit(_)) if item.is_announced() => {
            let limit: ConcurrencyLimit = item.record()?;
            let (action, occurred) =
                if item.version == 1 { ("created", limit.created) } else { ("updated", limit.updated) };
            event(action, &limit, item.version, occurred)?
        }
        Some(Subject::DeletedConcurrencyLimit(_)) => {
            let notice: DeletedConcurrencyLimit = item.record()?;
            event("deleted", &notice.limit, item.version, notice.deleted)?
        }
        _ => return Ok(None),
    }))
}

fn event(action: &str, limit: &ConcurrencyLimit, version: u64, occurred: Timestamp) -> Result<Event> {
    Ok(serde_json::from_value(json!({
        "occurred": occurred,
        "event": format!("prefect.concurrency-limit.{action}"),
        "resource": {
            "prefect.resource.id": format!("prefect.concurrency-limit.{}", limit.id),
            "prefect.resource.name": limit.name,
        },
        "payload": {
            "name": limit.name,
            "limit": limit.limit,
            "active": limit.active,
            "slot_decay_per_second": limit.slot_decay_per_second,
        },
        "id": Uuid::new_v5(&limit.id.0, format!("{action}#{version}").as_bytes()),
    }))?)
}
