//! What runs within a flow run that was cancelled is cancelled as well (Prefect's service for cancellations).

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use domain::{
    model::{FlowRun, FlowRunId, StateCreate, StateType, TaskRunId},
    orchestration::Client,
};
use error::{Error, Result};
use store::{
    Item,
    query::Range,
    table::{self, Index},
};

use crate::{
    App,
    transitions::{Proposal, propose_flow_run_state, propose_task_run_state},
};

/// How many runs are cancelled at the same time.
const AT_ONCE: usize = 8;

/// How many runs are read at once.
const PAGE: usize = 100;

/// Cancels the task runs and the subflow runs of the flow run `id` that have not ended, if it is cancelled itself.
///
/// A subflow run of a deployment is asked to stop, as a worker has its infrastructure; its own end cancels what runs
/// within it.
pub(super) async fn cancel_children(app: &App, id: FlowRunId) -> Result<()> {
    let Some(run) = app.store.flow_run(id).await? else { return Ok(()) };
    if run.record.state_type != Some(StateType::Cancelled) {
        return Ok(());
    }
    let mut task_runs = app.store.read(Range::group(&app.store, Index::ByParent, &table::runs_in_flow_run(id)), PAGE);
    while let Some(found) = task_runs.more().await? {
        let runs = found.iter().map(Item::record::<domain::model::TaskRun>).collect::<Result<Vec<_>>>()?;
        let going_on = runs.into_iter().filter(|run| !run.state_type.is_some_and(StateType::is_terminal));
        stream::iter(going_on.map(|run| run.id).collect::<Vec<_>>())
            .map(|run| cancel_task_run(app, run))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
    let mut subflows = app.store.read(Range::of_index(Index::Related, table::subflows_of(id)), PAGE);
    while let Some(found) = subflows.more().await? {
        let keys: Vec<_> = found.into_iter().map(|item| item.key).collect();
        let runs = app.store.get_many::<FlowRun>(&keys).await?;
        stream::iter(runs)
            .map(|run| cancel_subflow_run(app, run.record))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

async fn cancel_task_run(app: &App, id: TaskRunId) -> Result<()> {
    let proposal = Proposal::new(cancelled(StateType::Cancelled)?, true, Client::default());
    ended(propose_task_run_state(app, id, &proposal).await.map(drop))
}

async fn cancel_subflow_run(app: &App, run: FlowRun) -> Result<()> {
    let Some(current) = run.state_type.filter(|current| !current.is_terminal()) else { return Ok(()) };
    let proposed = match run.deployment_id {
        Some(_) if current == StateType::Cancelling => return Ok(()),
        Some(_) => StateType::Cancelling,
        None => StateType::Cancelled,
    };
    let proposal = Proposal::new(cancelled(proposed)?, false, Client::default());
    ended(propose_flow_run_state(app, run.id, &proposal).await.map(drop))
}

fn cancelled(r#type: StateType) -> Result<StateCreate> {
    Ok(serde_json::from_value(json!({ "type": r#type, "message": "The parent flow run was cancelled." }))?)
}

/// Lets a run that was deleted meanwhile count as cancelled.
fn ended(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(Error::NoSuchRun(_)) => Ok(()),
        outcome => outcome,
    }
}
