//! The events `prefect.deployment.created`, `.updated` and `.deleted`, as Prefect's `deployment_created_event` and its
//! siblings.
//!
//! A change of nothing that Prefect tells of, such as a schedule, is no event.

use serde_json::{Value, json};
use uuid::Uuid;

use domain::{
    events::deployments,
    model::{Deployment, Event, Object, Timestamp},
};
use error::Result;
use store::{Item, deployments::DeletedDeployment, table::Subject};

/// Returns the event of a change of a deployment; nothing for any other change.
pub(super) fn event_of(item: &Item) -> Result<Option<Event>> {
    Ok(Some(match Subject::of(&item.key) {
        Some(Subject::Deployment(_)) if item.is_announced() => {
            let deployment: Deployment = item.record()?;
            match &item.previous {
                None => event("created", &deployment, item.version, deployment.created, &json!({}))?,
                Some(changes) => {
                    let changes: Object = serde_json::from_str(changes)?;
                    let fields: Vec<&String> = changes.keys().collect();
                    let payload = json!({ "updated_fields": fields, "updates": changes });
                    event("updated", &deployment, item.version, deployment.updated, &payload)?
                }
            }
        }
        Some(Subject::DeletedDeployment(_)) => {
            let notice: DeletedDeployment = item.record()?;
            event("deleted", &notice.deployment, item.version, notice.deleted, &json!({}))?
        }
        _ => return Ok(None),
    }))
}

fn event(action: &str, of: &Deployment, version: u64, occurred: Timestamp, payload: &Value) -> Result<Event> {
    Ok(serde_json::from_value(json!({
        "occurred": occurred,
        "event": format!("prefect.deployment.{action}"),
        "resource": {
            "prefect.resource.id": format!("prefect.deployment.{}", of.id),
            "prefect.resource.name": of.name,
        },
        "related": deployments::related(of),
        "payload": payload,
        "id": Uuid::new_v5(&of.id.0, format!("{action}#{version}").as_bytes()),
    }))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::{DeploymentId, Flow, FlowId};
    use store::Shards;

    fn item(version: u64) -> Item {
        let flow = Flow::new(FlowId::new(), "a flow", Timestamp::now());
        let deployment = Deployment::new(DeploymentId::new(), &flow, "a deployment", Timestamp::now());
        Item::of(&deployment, version, Shards(1)).unwrap()
    }

    #[test]
    fn a_new_deployment_is_created_and_names_its_flow() {
        let event = event_of(&Item { announced: Some(1), ..item(1) }).unwrap().unwrap();
        assert_eq!((event.event.as_str(), event.payload), ("prefect.deployment.created", Object::new()));
        assert_eq!(event.related.len(), 1);
    }

    #[test]
    fn a_change_tells_what_was_and_what_is() {
        let previous = Some(json!({"paused": {"from": false, "to": true}}).to_string());
        let event = event_of(&Item { announced: Some(2), previous, ..item(2) }).unwrap().unwrap();
        assert_eq!(event.event, "prefect.deployment.updated");
        assert_eq!(event.payload["updated_fields"], json!(["paused"]));
        assert_eq!(event.payload["updates"], json!({"paused": {"from": false, "to": true}}));
    }

    #[test]
    fn a_change_of_nothing_that_is_told_of_is_no_event() {
        assert!(event_of(&item(2)).unwrap().is_none());
    }
}
