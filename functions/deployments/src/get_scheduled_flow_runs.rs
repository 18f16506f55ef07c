//! `POST /deployments/get_scheduled_flow_runs`: hands the flow runs that are due to a process that serves deployments.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    http::{Body, Route},
    model::{DeploymentId, FlowRun, Timestamp},
    store::{Needs, table::Index, waiting_runs::Due},
};
use serde::Deserialize;

/// The contract's `get_scheduled_flow_runs_for_deployments`.
pub static ROUTE: Route =
    Route::post("get_scheduled_flow_runs_for_deployments", "/deployments/get_scheduled_flow_runs", || post(poll))
        .needing(Needs::WRITES.through(&[Index::WaitingOfDeployment]));

#[derive(Debug, Deserialize)]
struct Poll {
    deployment_ids: Vec<DeploymentId>,
    scheduled_before: Option<Timestamp>,
    limit: usize,
}

async fn poll(State(api): State<Api>, Body(mut poll): Body<Poll>) -> Result<Json<Vec<FlowRun>>> {
    poll.deployment_ids.sort();
    poll.deployment_ids.dedup();
    let (due, now) = (Due { after: None, before: poll.scheduled_before }, api.now());
    let (runs, ()) = tokio::try_join!(
        api.store.waiting_of_deployments(&poll.deployment_ids, due, poll.limit),
        api.store.note_poll_of_deployments(&poll.deployment_ids, now),
    )?;
    Ok(Json(runs.into_iter().map(|run| run.with_estimates(now)).collect()))
}
