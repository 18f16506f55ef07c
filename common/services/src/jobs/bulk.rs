//! Operations on every flow run that a filter selects, however many these are.
//!
//! An operation is written with its parts: ranges of the index that its filter narrows most, one partition each. Each
//! part goes on by itself, step by step. A step reads a page of its range, treats the flow runs that match, and writes
//! how far it has got, on the condition that no other worker has done so since; from that write the table's stream
//! makes the message for the next step. A step that is repeated treats no flow run twice: one that was deleted is gone,
//! and a state is entered together with a claim of the operation on the flow run. Only the counts may be off, where a flow
//! run moves in the index because of its new state while two workers are at the same step.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use domain::{
    filter::RunFilters,
    model::{BulkAction, BulkFailure, BulkOperation, BulkOperationId, BulkProgress, FlowRunId, StateCreate, StateId},
    orchestration::Status,
};
use error::{Error, Result};
use store::{
    CommitError, TableAccess,
    bulk_operations::{self, FlowRunPart},
    table,
    unique::Claim,
};

use crate::{
    App,
    jobs::progress::Progress,
    transitions::{Once, Proposal, propose_flow_run_state},
};

/// How many records of one request are treated at the same time.
pub const AT_ONCE: usize = 8;

/// About how many items one page holds.
const PAGE: usize = 100;

/// How long a step goes on to read pages, where few flow runs match.
const PATIENCE: Duration = Duration::from_secs(5);

/// What [`begin`] touches.
pub const BEGIN: TableAccess = bulk_operations::BEGIN;

/// Begins an operation on the flow runs that `filters` select; returns how far it has got.
pub async fn begin(app: &App, filters: RunFilters, work: BulkAction) -> Result<Progress> {
    let ranges = app.store.ranges_of_flow_runs(&filters).await?;
    let (id, filter) = (BulkOperationId::new(), filters.flow_runs);
    let operation = BulkOperation { id, created: app.now(), filter, work, parts: ranges.len(), stopped: None };
    let parts: Vec<FlowRunPart> = ranges
        .into_iter()
        .enumerate()
        .map(|(number, rest)| FlowRunPart {
            operation: id,
            number,
            step: 0,
            rest,
            progress: BulkProgress::default(),
            finished: None,
            given_up: None,
        })
        .collect();
    app.store.begin_bulk_operation(&operation, &parts).await?;
    Ok(Progress::of(&operation, parts))
}

/// Does the step after `step` steps of the part `number` of the operation `id`, if it is still to be done.
///
/// # Errors
/// Those of the store; the step may be repeated.
pub async fn step(app: &App, id: BulkOperationId, number: usize, step: u64) -> Result<()> {
    let Some(operation) = app.store.bulk_operation(id).await? else { return Ok(()) };
    let Some(found) = app.store.bulk_part(id, number).await? else { return Ok(()) };
    let (operation, mut part) = (operation.record, found.record);
    if part.step != step || part.finished.is_some() {
        return Ok(());
    }
    if operation.stopped.is_none() {
        go_on(app, &operation, &mut part).await?;
    }
    if operation.stopped.is_some() || part.rest.is_empty() {
        part.finished = Some(app.now());
    }
    part.step += 1;
    match app.store.advance_bulk_part(&part, found.version, operation.created).await {
        // Another worker was given the same message, and has noted the step.
        Ok(()) | Err(CommitError::ConditionFailed(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Ends the part `number` of the operation `id` for this `reason`, if the step after `step` steps is still to be done.
///
/// # Errors
/// Those of the store.
pub async fn give_up(app: &App, id: BulkOperationId, number: usize, step: u64, reason: &str) -> Result<()> {
    let Some(operation) = app.store.bulk_operation(id).await? else { return Ok(()) };
    let Some(found) = app.store.bulk_part(id, number).await? else { return Ok(()) };
    let mut part = found.record;
    if part.step != step || part.finished.is_some() {
        return Ok(());
    }
    (part.finished, part.given_up) = (Some(app.now()), Some(reason.to_owned()));
    match app.store.advance_bulk_part(&part, found.version, operation.record.created).await {
        Ok(()) | Err(CommitError::ConditionFailed(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Has the part `number` of the operation `id` go on, if it was given up.
///
/// # Errors
/// Those of the store.
pub async fn take_up(app: &App, id: BulkOperationId, number: usize) -> Result<()> {
    let Some(operation) = app.store.bulk_operation(id).await? else { return Ok(()) };
    let Some(found) = app.store.bulk_part(id, number).await? else { return Ok(()) };
    let mut part = found.record;
    if part.given_up.take().is_none() {
        return Ok(());
    }
    part.finished = None;
    Ok(app.store.advance_bulk_part(&part, found.version, operation.record.created).await?)
}

/// Treats the flow runs of the next pages, until there were some.
async fn go_on(app: &App, operation: &BulkOperation, part: &mut FlowRunPart) -> Result<()> {
    let filters = RunFilters { flow_runs: operation.filter.clone(), ..RunFilters::default() };
    let started = Instant::now();
    let before = part.progress.matched;
    let step = Uuid::new_v5(&operation.id.0, format!("{}/{}", part.number, part.step).as_bytes());
    while part.progress.matched == before && started.elapsed() < PATIENCE {
        let Some(range) = part.rest.first() else { break };
        let (runs, rest) = app.store.next_flow_runs(range, &filters, PAGE).await?;
        part.progress.add(treat(app, operation, step, runs).await?);
        match (rest, part.rest.first_mut()) {
            (Some(rest), Some(first)) => *first = rest,
            _ => drop(part.rest.remove(0)),
        }
    }
    Ok(())
}

/// What became of one flow run.
enum Outcome {
    Done,
    Refused,
    /// An earlier step has treated it, and it has moved on in the index since.
    Counted,
}

async fn treat(app: &App, operation: &BulkOperation, step: Uuid, runs: Vec<FlowRunId>) -> Result<BulkProgress> {
    let outcomes = stream::iter(runs)
        .map(|run| async move {
            let outcome = match &operation.work {
                BulkAction::DeleteFlowRuns => delete(app, run).await,
                BulkAction::SetFlowRunStates { state, force, client } => {
                    let state_id = StateId(Uuid::new_v5(&operation.id.0, run.0.as_bytes()));
                    let claim = Claim::new(table::treated_flow_run(operation.id, run), step);
                    let once = Some(Once { state_id, claim });
                    let (state, client) = (StateCreate::clone(state), client.clone());
                    propose(app, run, &Proposal { once, ..Proposal::new(state, *force, client) }).await
                }
            };
            match outcome {
                // It is no fault of the flow run's, and will be over: the whole step is repeated.
                Err(Error::Unavailable(reason)) => Err(Error::Unavailable(reason)),
                outcome => Ok((run, outcome)),
            }
        })
        .buffer_unordered(AT_ONCE);
    let mut progress = BulkProgress::default();
    for (flow_run_id, outcome) in outcomes.try_collect::<Vec<_>>().await? {
        progress.add(match outcome {
            Ok(Outcome::Done) => BulkProgress { matched: 1, done: 1, ..BulkProgress::default() },
            Ok(Outcome::Refused) => BulkProgress { matched: 1, refused: 1, ..BulkProgress::default() },
            Ok(Outcome::Counted) => BulkProgress::default(),
            Err(error) => {
                tracing::error!(operation = %operation.id, %flow_run_id, %error, "a flow run could not be treated");
                let failures = vec![BulkFailure { flow_run_id, reason: error.public_message() }];
                BulkProgress { matched: 1, failed: 1, failures, ..BulkProgress::default() }
            }
        });
    }
    Ok(progress)
}

async fn delete(app: &App, run: FlowRunId) -> Result<Outcome> {
    Ok(if app.store.delete_flow_run(run, app.now(), app.settings.longest_waits).await? {
        Outcome::Done
    } else {
        Outcome::Refused
    })
}

/// Proposes a state, unless that was done before.
///
/// A flow run that was treated refuses the state, or conflicts: the claim says which step has treated it.
async fn propose(app: &App, run: FlowRunId, proposal: &Proposal) -> Result<Outcome> {
    let is_in_conflict = match propose_flow_run_state(app, run, proposal).await {
        Ok(outcome) if outcome.verdict.status() == Status::Accept => return Ok(Outcome::Done),
        Ok(_) => false,
        Err(Error::NoSuchRun(_)) => return Ok(Outcome::Refused),
        Err(Error::Conflict(_)) if proposal.once.is_some() => true,
        Err(error) => return Err(error),
    };
    let Some(Once { state_id, claim }) = &proposal.once else { return Ok(Outcome::Refused) };
    Ok(match app.store.owner(&claim.key).await? {
        Some(owner) if owner == claim.owner => {
            if app.store.flow_run_state(*state_id).await?.is_some() {
                Outcome::Done
            } else {
                Outcome::Refused
            }
        }
        None if !is_in_conflict => Outcome::Refused,
        _ => Outcome::Counted,
    })
}
