//! Deployments as they are answered, each with its concurrency limit, its work queue, and whether it is polled.

use common::{
    Api, Error, Result,
    model::{Deployment, deployment::DeploymentAnswer},
};

/// Returns the answer for `deployment`.
pub(crate) async fn one(api: &Api, deployment: &Deployment) -> Result<DeploymentAnswer> {
    let answer = all(api, std::slice::from_ref(deployment)).await?.pop();
    answer.ok_or_else(|| Error::Internal("a deployment has one answer".into()))
}

/// Returns the answers for `deployments`, in their order.
pub(crate) async fn all(api: &Api, deployments: &[Deployment]) -> Result<Vec<DeploymentAnswer>> {
    let mut known = deployments.to_vec();
    let queues = deployments.iter().filter_map(|deployment| deployment.work_queue_id);
    let (limits, queues, ()) = tokio::try_join!(
        api.store.limits_of_deployments(deployments),
        api.store.work_queues_by_ids(queues),
        api.store.fill_readiness(&mut known),
    )?;
    let now = api.now();
    let answer = |deployment: &Deployment| {
        let limit = deployment.concurrency_limit_id.and_then(|id| limits.get(&id));
        let queue = deployment.work_queue_id.and_then(|id| queues.get(&id));
        Ok(deployment.answer(limit, queue, now)?)
    };
    known.iter().map(answer).collect()
}

/// Says that there is no such deployment, in the words of the operations that change one.
pub(crate) fn no_deployment() -> Error {
    Error::NotFound("Deployment not found.".into())
}
