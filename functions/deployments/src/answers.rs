//! Deployments as they are answered, each with its concurrency limit and whether it is polled.

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
    let (limits, ()) =
        tokio::try_join!(api.store.limits_of_deployments(deployments), api.store.fill_readiness(&mut known))?;
    let now = api.now();
    let answer = |deployment: &Deployment| {
        let limit = deployment.concurrency_limit_id.and_then(|id| limits.get(&id));
        Ok(deployment.answer(limit, now)?)
    };
    known.iter().map(answer).collect()
}
