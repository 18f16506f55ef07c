//! The events that tell of deployments, as Prefect's `deployment_*_event`.

use serde_json::{Value, json};

use error::Result;

use crate::model::{Deployment, Event, EventId, Timestamp, deployment::DeploymentStatus};

/// Makes the event of a deployment that enters `status` (Prefect's `deployment_status_event`).
pub fn status_event(of: &Deployment, status: DeploymentStatus, occurred: Timestamp) -> Result<Event> {
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
        "related": related(of),
        "payload": {},
        "id": EventId::new(),
    }))?)
}

/// Returns what the deployment has to do with, each thing in its role.
pub fn related(of: &Deployment) -> Vec<Value> {
    let flow = json!({
        "prefect.resource.id": format!("prefect.flow.{}", of.flow_id),
        "prefect.resource.name": of.flow_name,
        "prefect.resource.role": "flow",
    });
    let place = of.work_queue_id.zip(of.queue_assignment.as_ref()).into_iter().flat_map(|(queue, place)| {
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
    let limit = of.concurrency_limit_id.map(|id| {
        json!({
            "prefect.resource.id": format!("prefect.concurrency-limit.{id}"),
            "prefect.resource.role": "concurrency-limit",
        })
    });
    std::iter::once(flow).chain(place).chain(limit).collect()
}
