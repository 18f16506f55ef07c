//! The events `prefect.variable.created`, `.updated` and `.deleted`, as Prefect's `variable_created_event` and its siblings.
//!
//! An event's id derives from the variable and the version that it tells of, so that a change consumed twice is one event.

use serde_json::json;
use uuid::Uuid;

use domain::model::{Event, Timestamp, Variable};
use error::Result;
use store::{Item, table::Subject, variables::DeletedVariable};

/// Returns the event of a change of a variable; nothing for any other change.
pub(super) fn event_of(item: &Item) -> Result<Option<Event>> {
    Ok(Some(match Subject::of(&item.key) {
        Some(Subject::Variable(_)) => {
            let variable: Variable = item.record()?;
            let (action, occurred) =
                if item.version == 1 { ("created", variable.created) } else { ("updated", variable.updated) };
            event(action, &variable, item.version, occurred)?
        }
        Some(Subject::DeletedVariable(_)) => {
            let notice: DeletedVariable = item.record()?;
            event("deleted", &notice.variable, item.version, notice.deleted)?
        }
        _ => return Ok(None),
    }))
}

fn event(action: &str, variable: &Variable, version: u64, occurred: Timestamp) -> Result<Event> {
    Ok(serde_json::from_value(json!({
        "occurred": occurred,
        "event": format!("prefect.variable.{action}"),
        "resource": {
            "prefect.resource.id": format!("prefect.variable.{}", variable.id),
            "prefect.resource.name": variable.name,
        },
        "payload": { "name": variable.name, "value": variable.value, "tags": variable.tags },
        "id": Uuid::new_v5(&variable.id.0, format!("{action}#{version}").as_bytes()),
    }))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::VariableId;
    use store::Shards;

    fn variable() -> Variable {
        Variable {
            id: VariableId::new(),
            created: "2026-01-31T09:30:00Z".parse().unwrap(),
            updated: "2026-01-31T09:31:00Z".parse().unwrap(),
            name: "a_variable".into(),
            value: json!({"a": [1]}),
            tags: vec!["b".into()],
        }
    }

    #[test]
    fn the_first_version_is_created_and_others_are_updated() {
        let variable = variable();
        let event = |version| event_of(&Item::of(&variable, version, Shards(1)).unwrap()).unwrap().unwrap();
        assert_eq!((event(1).event.as_str(), event(1).occurred), ("prefect.variable.created", variable.created));
        assert_eq!((event(2).event.as_str(), event(2).occurred), ("prefect.variable.updated", variable.updated));
        assert_eq!(event(2).payload["value"], variable.value);
        assert_eq!(event(2), event(2));
        assert_ne!(event(2).id, event(3).id);
    }

    #[test]
    fn a_notice_tells_of_the_deletion() {
        let notice = DeletedVariable { variable: variable(), deleted: "2026-01-31T09:32:00Z".parse().unwrap() };
        let event = event_of(&Item::of(&notice, 1, Shards(1)).unwrap()).unwrap().unwrap();
        assert_eq!((event.event.as_str(), event.occurred), ("prefect.variable.deleted", notice.deleted));
        assert_eq!(event.resource.label("prefect.resource.name"), Some("a_variable"));
    }
}
