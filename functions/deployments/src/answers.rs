//! Deployments as they are answered, each with its concurrency limit.

use common::{
    Api, Result,
    model::{Deployment, deployment::DeploymentAnswer},
};

/// Returns the answer for `deployment`.
pub(crate) async fn one(api: &Api, deployment: &Deployment) -> Result<DeploymentAnswer> {
    let limit = match deployment.concurrency_limit_id {
        Some(id) => api.store.concurrency_limit(id).await?,
        None => None,
    };
    Ok(deployment.answer(limit.as_ref().map(|found| &found.record), api.now())?)
}

/// Returns the answers for `deployments`, in their order.
pub(crate) async fn all(api: &Api, deployments: &[Deployment]) -> Result<Vec<DeploymentAnswer>> {
    let limits = api.store.limits_of_deployments(deployments).await?;
    let now = api.now();
    let answer = |deployment: &Deployment| {
        let limit = deployment.concurrency_limit_id.and_then(|id| limits.get(&id));
        Ok(deployment.answer(limit, now)?)
    };
    deployments.iter().map(answer).collect()
}
