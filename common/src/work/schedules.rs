//! Finds the deployments whose schedules are to be looked at, and has the queue's worker look at each.

use crate::{
    api::Api,
    error::Result,
    model::DeploymentId,
    queue::{Message, Queue},
    scheduler,
};

/// How many deployments of a partition one message finds.
const PAGE: usize = 4_000;

/// Leaves a message for each partition that has a deployment whose schedules are to be looked at.
pub async fn tick(api: &Api, queue: &Queue) -> Result<()> {
    if !api.settings.scheduler.enabled {
        return Ok(());
    }
    let now = api.now();
    let partitions = api.store.scheduling_partitions();
    let firsts = partitions.iter().map(|partition| api.store.deployments_to_schedule(partition, now, 1));
    let firsts = futures::future::try_join_all(firsts).await?;
    let found = partitions.into_iter().zip(firsts).filter(|(_, first)| !first.is_empty());
    let messages: Vec<Message> = found.map(|(partition, _)| Message::Schedules { partition }).collect();
    if messages.is_empty() { Ok(()) } else { queue.send(&messages).await }
}

/// Leaves a message for each deployment of `partition` whose schedules are to be looked at.
///
/// What is not looked at keeps its place, and is found again by the next tick.
pub(super) async fn fan_out(api: &Api, queue: &Queue, partition: &str) -> Result<()> {
    let found = api.store.deployments_to_schedule(partition, api.now(), PAGE).await?;
    let messages: Vec<Message> = found.into_iter().map(|deployment| Message::Schedule { deployment }).collect();
    if messages.is_empty() { Ok(()) } else { queue.send(&messages).await }
}

/// Looks at the schedules of a deployment.
pub(super) async fn look_at(api: &Api, deployment: DeploymentId) -> Result<()> {
    if api.settings.scheduler.enabled { scheduler::look_at(api, deployment).await } else { Ok(()) }
}
