//! What follows from changes of deployments and of what is known of their polls ([`store::deployment_polling`]).
//!
//! In which queue the runs of a deployment wait is noted for those who poll the queue, and that a deployment is polled, or
//! is not any more, is told of in events. They name what the deployment has to do with by the time when they are made.

use std::collections::HashMap;

use super::{Failures, Written};
use domain::{
    events::deployments,
    model::{Deployment, DeploymentId, Event},
};
use error::Result;
use store::{
    Item,
    deployment_polling::Readiness,
    table::{self, Subject},
};

use crate::App;

/// Notes the queues of the deployments in `written`.
pub(super) async fn follow(app: &App, written: &[(usize, &Item)], failures: &mut Failures) {
    for (place, item) in written {
        let is_deployment = matches!(Subject::of(&item.key), Some(Subject::Deployment(_)));
        if is_deployment
            && item.is_announced()
            && let Err(error) = follow_one(app, item).await
        {
            failures.add(*place, error);
        }
    }
}

async fn follow_one(app: &App, item: &Item) -> Result<()> {
    let deployment: Deployment = item.record()?;
    app.store.place_deployment(deployment.id, deployment.work_queue_id).await
}

/// Returns the events of the deployments in `written` that are ready now or are not, each with the change's place.
///
/// A deployment that is gone by now has no status.
pub(super) async fn events_of(app: &App, written: &[(usize, Written<'_>)]) -> Result<Vec<(usize, Event)>> {
    let mut changes = Vec::new();
    for (place, Written { before, after }) in written {
        if !matches!(Subject::of(&after.key), Some(Subject::Readiness(_))) {
            continue;
        }
        let before = before.map(Item::record::<Readiness>).transpose()?;
        let readiness: Readiness = after.record()?;
        if let Some(entered) = readiness.entered_since(before.as_ref()) {
            changes.push((*place, readiness, after.version, entered));
        }
    }
    let keys: Vec<_> = changes.iter().map(|(_, readiness, ..)| table::deployment(readiness.deployment)).collect();
    let found = app.store.get_many::<Deployment>(&keys).await?;
    let deployments: HashMap<DeploymentId, Deployment> =
        found.into_iter().map(|found| (found.record.id, found.record)).collect();
    let events = changes.into_iter().filter_map(|(place, readiness, version, entered)| {
        let deployment = deployments.get(&readiness.deployment)?;
        let event = deployments::status_event(deployment, readiness.status, version, entered);
        Some(event.map(|event| (place, event)))
    });
    events.collect()
}
