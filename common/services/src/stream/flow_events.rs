//! The events `prefect.flow.created`, `.updated` and `.deleted`, as Prefect's `flow_created_event` and its siblings.
//!
//! An event's id derives from the flow and the version that it tells of, so that a change consumed twice is one event.

use serde_json::json;
use uuid::Uuid;

use domain::model::{Event, Flow, Timestamp};
use error::Result;
use store::{Item, flows::DeletedFlow, table::Subject};

/// Returns the event of a change of a flow; nothing for any other change.
pub(super) fn event_of(item: &Item) -> Result<Option<Event>> {
    Ok(Some(match Subject::of(&item.key) {
        Some(Subject::Flow(_)) => {
            let flow: Flow = item.record()?;
            let (action, occurred) =
                if item.version == 1 { ("created", flow.created) } else { ("updated", flow.updated) };
            event(action, &flow, item.version, occurred)?
        }
        Some(Subject::DeletedFlow(_)) => {
            let notice: DeletedFlow = item.record()?;
            event("deleted", &notice.flow, item.version, notice.deleted)?
        }
        _ => return Ok(None),
    }))
}

fn event(action: &str, flow: &Flow, version: u64, occurred: Timestamp) -> Result<Event> {
    Ok(serde_json::from_value(json!({
        "occurred": occurred,
        "event": format!("prefect.flow.{action}"),
        "resource": {
            "prefect.resource.id": format!("prefect.flow.{}", flow.id),
            "prefect.resource.name": flow.name,
        },
        "payload": { "name": flow.name, "tags": flow.tags, "labels": flow.labels },
        "id": Uuid::new_v5(&flow.id.0, format!("{action}#{version}").as_bytes()),
    }))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::FlowId;
    use store::{Shards, table};

    fn flow() -> Flow {
        let mut flow = Flow::new(FlowId::new(), "a flow", "2026-01-31T09:30:00Z".parse().unwrap());
        flow.tags = vec!["b".into(), "a".into()];
        flow.updated = "2026-01-31T09:31:00Z".parse().unwrap();
        flow
    }

    #[test]
    fn the_first_version_is_created_and_others_are_updated() {
        let flow = flow();
        let event = |version| event_of(&Item::of(&flow, version, Shards(1)).unwrap()).unwrap().unwrap();
        assert_eq!((event(1).event.as_str(), event(1).occurred), ("prefect.flow.created", flow.created));
        assert_eq!((event(2).event.as_str(), event(2).occurred), ("prefect.flow.updated", flow.updated));
        assert_eq!(event(2).payload["tags"], json!(["b", "a"]));
        assert_eq!(event(2), event(2));
        assert_ne!(event(2).id, event(3).id);
    }

    #[test]
    fn a_notice_tells_of_the_deletion() {
        let notice = DeletedFlow { flow: flow(), deleted: "2026-01-31T09:32:00Z".parse().unwrap() };
        let item = Item::of(&notice, 1, Shards(1)).unwrap();
        assert_eq!(Subject::of(&item.key), Some(Subject::DeletedFlow(notice.flow.id)));
        let event = event_of(&item).unwrap().unwrap();
        assert_eq!((event.event.as_str(), event.occurred), ("prefect.flow.deleted", notice.deleted));
        assert_eq!(event.resource.label("prefect.resource.name"), Some("a flow"));
    }

    #[test]
    fn other_items_are_no_events() {
        let item = Item {
            key: table::state(&table::flow(FlowId::new()), Timestamp::now(), domain::model::StateId::new()),
            ..Item::of(&flow(), 1, Shards(1)).unwrap()
        };
        assert!(event_of(&item).unwrap().is_none());
    }
}
