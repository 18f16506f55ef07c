//! Deployments as they are answered, each with its concurrency limit and its work queue.

use common::{
    Api, Error, Result,
    model::{Deployment, deployment::DeploymentAnswer},
};

/// Returns the answer for `deployment`.
pub(crate) async fn one(api: &Api, deployment: &Deployment) -> Result<DeploymentAnswer> {
    let limit = async {
        match deployment.concurrency_limit_id {
            Some(id) => api.store.concurrency_limit(id).await,
            None => Ok(None),
        }
    };
    let queue = async {
        match deployment.work_queue_id {
            Some(id) => api.store.work_queue(id).await,
            None => Ok(None),
        }
    };
    let (limit, queue) = tokio::try_join!(limit, queue)?;
    let (limit, queue) = (limit.map(|found| found.record), queue.map(|found| found.record.queue));
    Ok(deployment.answer(limit.as_ref(), queue.as_ref(), api.now())?)
}

/// Returns the answers for `deployments`, in their order.
pub(crate) async fn all(api: &Api, deployments: &[Deployment]) -> Result<Vec<DeploymentAnswer>> {
    let queues = deployments.iter().filter_map(|deployment| deployment.work_queue_id);
    let (limits, queues) =
        tokio::try_join!(api.store.limits_of_deployments(deployments), api.store.work_queues_by_ids(queues))?;
    let now = api.now();
    let answer = |deployment: &Deployment| {
        let limit = deployment.concurrency_limit_id.and_then(|id| limits.get(&id));
        let queue = deployment.work_queue_id.and_then(|id| queues.get(&id));
        Ok(deployment.answer(limit, queue, now)?)
    };
    deployments.iter().map(answer).collect()
}

/// Says that there is no such deployment, in the words of the operations that change one.
pub(crate) fn no_deployment() -> Error {
    Error::NotFound("Deployment not found.".into())
}
