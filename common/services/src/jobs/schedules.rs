//! Finds the deployments whose schedules are to be looked at, and has the job runner look at each.

use domain::model::DeploymentId;
use error::Result;

use crate::{
    App,
    jobs::queue::{Message, Queue},
    scheduler,
};

/// How many deployments of a partition one message finds.
const PAGE: usize = 4_000;

/// Leaves a message for each partition that has a deployment whose schedules are to be looked at.
pub async fn tick(app: &App, queue: &Queue) -> Result<()> {
    if !app.settings.scheduler.enabled {
        return Ok(());
    }
    let now = app.now();
    let partitions = app.store.scheduling_partitions();
    let firsts = partitions.iter().map(|partition| app.store.deployments_to_schedule(partition, now, 1));
    let firsts = futures::future::try_join_all(firsts).await?;
    let found = partitions.into_iter().zip(firsts).filter(|(_, first)| !first.is_empty());
    let messages: Vec<Message> = found.map(|(partition, _)| Message::Schedules { partition }).collect();
    if messages.is_empty() { Ok(()) } else { queue.send(&messages).await }
}

/// Leaves a message for each deployment of `partition` whose schedules are to be looked at.
///
/// What is not looked at keeps its place, and is found again by the next tick.
pub(super) async fn fan_out(app: &App, queue: &Queue, partition: &str) -> Result<()> {
    let found = app.store.deployments_to_schedule(partition, app.now(), PAGE).await?;
    let messages: Vec<Message> = found.into_iter().map(|deployment| Message::Schedule { deployment }).collect();
    if messages.is_empty() { Ok(()) } else { queue.send(&messages).await }
}

/// Looks at the schedules of a deployment.
pub(super) async fn look_at(app: &App, deployment: DeploymentId) -> Result<()> {
    if app.settings.scheduler.enabled { scheduler::look_at(app, deployment).await } else { Ok(()) }
}
