//! The events of a deployment's readiness, as upstream's `deployment_status_event`.

use serde_json::{Value, json};

use crate::{
    error::Result,
    model::{Deployment, Event, EventId, Timestamp, WorkPool, WorkQueue, deployment::DeploymentStatus},
};

/// Makes the event of a deployment that enters `status`; its runs wait in the queue and pool of `place`.
pub fn status(
    of: &Deployment,
    place: Option<(&WorkQueue, Option<&WorkPool>)>,
    status: DeploymentStatus,
    occurred: Timestamp,
) -> Result<Event> {
    let status = match status {
        DeploymentStatus::Ready => "ready",
        DeploymentStatus::NotReady => "not-ready",
    };
    let related = |kind: &str, id: String, name: &str| {
        json!({
            "prefect.resource.id": format!("prefect.{kind}.{id}"),
            "prefect.resource.name": name,
            "prefect.resource.role": kind,
        })
    };
    let mut all: Vec<Value> = vec![related("flow", of.flow_id.to_string(), &of.flow_name)];
    if let Some((queue, pool)) = place {
        all.push(related("work-queue", queue.id.to_string(), &queue.name));
        all.extend(pool.map(|pool| {
            let mut labels = related("work-pool", pool.id.to_string(), &pool.name);
            if let Value::Object(labels) = &mut labels {
                labels.insert("prefect.work-pool.type".into(), pool.r#type.clone().into());
            }
            labels
        }));
    }
    let nameless = |kind: &str, id: String, role: &str| json!({ "prefect.resource.id": format!("prefect.{kind}.{id}"), "prefect.resource.role": role });
    all.extend(of.storage_document_id.map(|id| nameless("block-document", id.to_string(), "storage")));
    all.extend(of.infrastructure_document_id.map(|id| nameless("block-document", id.to_string(), "infrastructure")));
    all.extend(of.concurrency_limit_id.map(|id| nameless("concurrency-limit", id.to_string(), "concurrency-limit")));
    Ok(serde_json::from_value(json!({
        "occurred": occurred,
        "event": format!("prefect.deployment.{status}"),
        "resource": {
            "prefect.resource.id": format!("prefect.deployment.{}", of.id),
            "prefect.resource.name": of.name,
        },
        "related": all,
        "payload": {},
        "id": EventId::new(),
    }))?)
}
