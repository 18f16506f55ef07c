//! The events that tell of deployments, as Prefect's `deployment_*_event`.

use serde_json::{Value, json};
use uuid::Uuid;

use error::Result;

use super::Lifecycle;
use crate::model::{Deployment, Event, Object, Timestamp, deployment::DeploymentStatus, named};

named!(Deployment);

impl Lifecycle for Deployment {
    const RESOURCE: &'static str = "deployment";

    fn related(&self) -> Vec<Value> {
        let flow = json!({
            "prefect.resource.id": format!("prefect.flow.{}", self.flow_id),
            "prefect.resource.name": self.flow_name,
            "prefect.resource.role": "flow",
        });
        let place = self.work_queue_id.zip(self.queue_assignment.as_ref()).into_iter().flat_map(|(queue, place)| {
            let queue = json!({
                "prefect.resource.id": format!("prefect.work-queue.{queue}"),
                "prefect.resource.name": place.queue_name,
                "prefect.resource.role": "work-queue",
            });
            let pool = json!({
                "prefect.resource.id": format!("prefect.work-pool.{}", place.pool_id),
                "prefect.resource.name": place.pool_name,
                "prefect.work-pool.type": place.pool_type,
                "prefect.resource.role": "work-pool",
            });
            [queue, pool]
        });
        let limit = self.concurrency_limit_id.map(|id| {
            json!({
                "prefect.resource.id": format!("prefect.concurrency-limit.{id}"),
                "prefect.resource.role": "concurrency-limit",
            })
        });
        std::iter::once(flow).chain(place).chain(limit).collect()
    }

    /// Tells each changed field with what it was and what it is; a change of nothing among them is no event.
    fn update(&self, before: &Self) -> Option<Value> {
        let (was, is) = (json!(before), json!(self));
        let changes: Object = TOLD
            .into_iter()
            .filter(|(field, _)| was.get(field) != is.get(field))
            .map(|(field, told)| (told.to_owned(), json!({ "from": was.get(field), "to": is.get(field) })))
            .collect();
        let fields: Vec<&String> = changes.keys().collect();
        (!changes.is_empty()).then(|| json!({ "updated_fields": fields, "updates": changes }))
    }
}

/// The fields whose changes are told of (Prefect's `DEPLOYMENT_EVENT_FIELDS`), by their names in its events.
const TOLD: [(&str, &str); 15] = [
    ("description", "description"),
    ("tags", "tags"),
    ("parameters", "parameters"),
    ("parameter_openapi_schema", "parameter_openapi_schema"),
    ("enforce_parameter_schema", "enforce_parameter_schema"),
    ("entrypoint", "entrypoint"),
    ("path", "path"),
    ("pull_steps", "pull_steps"),
    ("work_queue_id", "work_queue_id"),
    ("job_variables", "infra_overrides"),
    ("paused", "paused"),
    ("labels", "labels"),
    ("version", "version"),
    ("concurrency_limit_id", "concurrency_limit_id"),
    ("concurrency_options", "concurrency_options"),
];

/// Makes the event of a deployment that enters `status` (Prefect's `deployment_status_event`).
///
/// Its id derives from the deployment and the `version` of what is known of its polls.
pub fn status_event(of: &Deployment, status: DeploymentStatus, version: u64, occurred: Timestamp) -> Result<Event> {
    let status = match status {
        DeploymentStatus::Ready => "ready",
        DeploymentStatus::NotReady => "not-ready",
    };
    Ok(serde_json::from_value(json!({
        "occurred": occurred,
        "event": format!("prefect.deployment.{status}"),
        "resource": {
            "prefect.resource.id": format!("prefect.deployment.{}", of.id),
            "prefect.resource.name": of.name,
        },
        "related": of.related(),
        "payload": {},
        "id": Uuid::new_v5(&of.id.0, format!("{status}#{version}").as_bytes()),
    }))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::lifecycle,
        model::{DeploymentId, Flow, FlowId},
    };

    fn deployment() -> Deployment {
        let flow = Flow::new(FlowId::new(), "a flow", Timestamp::now());
        Deployment::new(DeploymentId::new(), &flow, "a deployment", Timestamp::now())
    }

    #[test]
    fn a_new_deployment_is_created_and_names_its_flow() {
        let event = lifecycle::created(&deployment(), 1).unwrap();
        assert_eq!((event.event.as_str(), event.payload), ("prefect.deployment.created", Object::new()));
        assert_eq!(event.related.len(), 1);
    }

    #[test]
    fn a_change_tells_what_was_and_what_is() {
        let before = deployment();
        let mut after = Deployment { paused: true, version: Some("2".into()), ..before.clone() };
        after.job_variables.insert("image".into(), "new".into());
        let event = lifecycle::updated(&before, &after, 2).unwrap().unwrap();
        assert_eq!(event.event, "prefect.deployment.updated");
        assert_eq!(event.payload["updated_fields"], json!(["infra_overrides", "paused", "version"]));
        let updates = json!({
            "infra_overrides": {"from": {}, "to": {"image": "new"}},
            "paused": {"from": false, "to": true},
            "version": {"from": null, "to": "2"},
        });
        assert_eq!(event.payload["updates"], updates);
    }

    #[test]
    fn a_change_of_nothing_that_is_told_of_is_no_event() {
        let before = deployment();
        let after = Deployment { name: "another".into(), updated: Timestamp::now(), ..before.clone() };
        assert!(lifecycle::updated(&before, &after, 2).unwrap().is_none());
    }

    #[test]
    fn a_deleted_deployment_says_no_more_than_its_name() {
        let event = lifecycle::deleted(&deployment(), 3, Timestamp::now()).unwrap();
        assert_eq!((event.event.as_str(), event.payload), ("prefect.deployment.deleted", Object::new()));
    }
}
