//! Deployments as they are answered, each with its concurrency limit, its work queue and whether it is polled.

use domain::model::{Deployment, deployment::DeploymentResponse};
use error::{Error, Result};

use crate::App;

/// Returns the answer for `deployment`.
pub async fn one(app: &App, deployment: &Deployment) -> Result<DeploymentResponse> {
    let answer = all(app, std::slice::from_ref(deployment)).await?.pop();
    answer.ok_or_else(|| Error::Internal("a deployment has one answer".into()))
}

/// Returns the answers for `deployments`, in their order.
pub async fn all(app: &App, deployments: &[Deployment]) -> Result<Vec<DeploymentResponse>> {
    let queues = deployments.iter().filter_map(|deployment| deployment.work_queue_id);
    let ids = deployments.iter().map(|deployment| deployment.id);
    let (limits, queues, polls) = tokio::try_join!(
        app.store.limits_of_deployments(deployments),
        app.store.work_queues_by_ids(queues),
        app.store.readiness_of(ids),
    )?;
    let now = app.now();
    let answer = |deployment: &Deployment| {
        let limit = deployment.concurrency_limit_id.and_then(|id| limits.get(&id));
        let queue = deployment.work_queue_id.and_then(|id| queues.get(&id));
        let mut deployment = deployment.clone();
        if let Some(known) = polls.get(&deployment.id) {
            known.fill_in(&mut deployment, queue);
        }
        Ok(deployment.answer(limit, queue, now)?)
    };
    deployments.iter().map(answer).collect()
}
