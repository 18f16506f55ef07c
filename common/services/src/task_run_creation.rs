//! Making task runs, each together with its first state and the claim on its place in its flow run.

use domain::{
    model::{State, TaskRun},
    orchestration::{Client, policy::task_policy},
};
use error::{Error, Result};
use store::{CommitError, Write, commit::retry_on_conflict, table};

use crate::{App, transitions};

/// A task run to be made, and the state that it begins in.
///
/// The ids of both stay the same however often the making is tried.
#[derive(Clone, Debug)]
pub struct NewTaskRun {
    /// The run, without a state.
    pub run: TaskRun,
    /// Its first state.
    pub state: State,
}

/// What became of the making of a task run.
#[derive(Clone, Debug)]
pub struct Made {
    /// The run.
    pub run: TaskRun,
    /// Whether it is new; otherwise it had the place before.
    pub is_new: bool,
}

/// Makes a task run, or finds the one that has its place.
///
/// # Errors
/// [`Error::Conflict`] if there is a run of its id in another place.
pub async fn create(app: &App, new: &NewTaskRun, client: &Client) -> Result<Made> {
    retry_on_conflict(|| Box::pin(add(app, new, client.clone()))).await
}

async fn add(app: &App, new: &NewTaskRun, client: Client) -> Result<Made, CommitError> {
    let TaskRun { id, created, flow_run_id, task_key, dynamic_key, .. } = &new.run;
    let key = table::unique_task_run(*flow_run_id, task_key, dynamic_key);
    let claim = app.store.claim(key.clone(), *id)?;
    let refused = match enter(app, new.clone(), client.clone(), claim).await {
        Err(refused @ CommitError::ConditionFailed(_)) => refused,
        outcome => return outcome,
    };
    match app.store.task_run_by_key(*flow_run_id, task_key, dynamic_key).await? {
        Some(found) => {
            // With our id and time, the write before was carried out, only its answer was lost.
            let is_new = (found.record.id, found.record.created) == (*id, *created);
            Ok(Made { run: found.record, is_new })
        }
        None if app.store.task_run(*id).await?.is_some() => Err(Error::integrity_conflict().into()),
        // The claim may have been written without the run, whose id it gives.
        None => match app.store.claim_on(&key).await? {
            Some(found) => {
                let owner = found.record.owner;
                let run = TaskRun { id: owner.into(), ..new.run.clone() };
                let claim = app.store.take_over(key, owner, found.version)?;
                enter(app, NewTaskRun { run, state: new.state.clone() }, client, claim).await
            }
            None => Err(refused),
        },
    }
}

/// Writes a new run with its first state and its claim.
async fn enter(app: &App, new: NewTaskRun, client: Client, claim: Write) -> Result<Made, CommitError> {
    let is_deferred = new.state.state_details.deferred == Some(true);
    let policy = task_policy(&new.state, true);
    let (run, entering) = Box::pin(transitions::create(app, new.run, Some(new.state), policy, client)).await?;
    app.store.commit(std::iter::once(claim).chain(entering).collect()).await?;
    if is_deferred {
        app.live.tell_of_queued_tasks();
    }
    Ok(Made { run, is_new: true })
}
