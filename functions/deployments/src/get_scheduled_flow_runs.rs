//! `POST /deployments/get_scheduled_flow_runs`: hands the flow runs that are due to a process that serves deployments.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::{DeploymentId, FlowRun, Timestamp},
    store::{
        TableAccess,
        waiting_runs::{self, Due},
    },
};
use serde::Deserialize;

/// The contract's `get_scheduled_flow_runs_for_deployments`.
pub static ROUTE: Route =
    Route::post("get_scheduled_flow_runs_for_deployments", "/deployments/get_scheduled_flow_runs", || post(poll))
        .accessing(TableAccess::WRITES.and(waiting_runs::OF_DEPLOYMENTS));

#[derive(Debug, Deserialize)]
struct Poll {
    deployment_ids: Vec<DeploymentId>,
    scheduled_before: Option<Timestamp>,
    limit: usize,
}

async fn poll(State(app): State<App>, Body(mut poll): Body<Poll>) -> Result<Json<Vec<FlowRun>>> {
    poll.deployment_ids.sort();
    poll.deployment_ids.dedup();
    let (due, now) = (Due { after: None, before: poll.scheduled_before }, app.now());
    let (runs, ()) = tokio::try_join!(
        app.store.waiting_of_deployments(&poll.deployment_ids, due, poll.limit),
        app.store.note_poll_of_deployments(&poll.deployment_ids, now),
    )?;
    Ok(Json(runs.into_iter().map(|run| run.with_estimates(now)).collect()))
}
