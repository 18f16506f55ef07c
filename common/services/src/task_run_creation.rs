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
    let (run, state) = (new.run.clone(), new.state.clone());
    let policy = task_policy(&state, true);
    let (run, entering) = Box::pin(transitions::create(app, run, Some(state), policy, client)).await?;
    let mut writes: Vec<Write> =
        vec![app.store.claim(table::unique_task_run(*flow_run_id, task_key, dynamic_key), *id)?];
    writes.extend(entering);
    let refused = match app.store.commit(writes).await {
        Ok(()) => {
            if new.state.state_details.deferred == Some(true) {
                app.live.tell_of_queued_tasks();
            }
            return Ok(Made { run, is_new: true });
        }
        Err(refused @ CommitError::ConditionFailed(_)) => refused,
        Err(error) => return Err(error),
    };
    match app.store.task_run_by_key(*flow_run_id, task_key, dynamic_key).await? {
        Some(found) => {
            // With our id and time, the write before was carried out, only its answer was lost.
            let is_new = (found.record.id, found.record.created) == (*id, *created);
            Ok(Made { run: found.record, is_new })
        }
        None if app.store.task_run(*id).await?.is_some() => Err(Error::integrity_conflict().into()),
        None => Err(refused),
    }
}
