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

use crate::{
    api::Api,
    error::{Error, Result},
    model::{
        BulkFailure, BulkOperation, BulkOperationId, BulkPart, BulkProgress, BulkWork, FlowRunId, StateCreate, StateId,
    },
    orchestration::Status,
    store::{CommitError, flow_run_query::RunFilters, table, unique::Claim},
    transitions::{Once, Proposal, propose_flow_run_state},
};

/// About how many items one page holds.
const PAGE: usize = 100;

/// How long a step goes on to read pages, where few flow runs match.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many flow runs are treated at the same time.
const AT_ONCE: usize = 8;

/// Begins an operation on the flow runs that `filters` select; returns it with its parts.
pub async fn begin(api: &Api, filters: RunFilters, work: BulkWork) -> Result<(BulkOperation, Vec<BulkPart>)> {
    let ranges = api.store.ranges_of_flow_runs(&filters).await?;
    let (id, filter) = (BulkOperationId::new(), filters.flow_runs);
    let operation = BulkOperation { id, created: api.now(), filter, work, parts: ranges.len(), stopped: None };
    let parts: Vec<BulkPart> = ranges
        .into_iter()
        .enumerate()
        .map(|(number, rest)| BulkPart {
            operation: id,
            number,
            step: 0,
            rest,
            progress: BulkProgress::default(),
            finished: None,
        })
        .collect();
    api.store.begin_bulk_operation(&operation, &parts).await?;
    Ok((operation, parts))
}

/// Does the step after `step` steps of the part `number` of the operation `id`, if it is still to be done.
///
/// # Errors
/// Those of the store; the step may be repeated.
pub async fn step(api: &Api, id: BulkOperationId, number: usize, step: u64) -> Result<()> {
    let Some(operation) = api.store.bulk_operation(id).await? else { return Ok(()) };
    let Some(found) = api.store.bulk_part(id, number).await? else { return Ok(()) };
    let (operation, mut part) = (operation.record, found.record);
    if part.step != step || part.finished.is_some() {
        return Ok(());
    }
    if operation.stopped.is_none() {
        go_on(api, &operation, &mut part).await?;
    }
    if operation.stopped.is_some() || part.rest.is_empty() {
        part.finished = Some(api.now());
    }
    part.step += 1;
    match api.store.advance_bulk_part(&part, found.version, operation.created).await {
        // Another worker was given the same message, and has noted the step.
        Ok(()) | Err(CommitError::Refused(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Treats the flow runs of the next pages, until there were some.
async fn go_on(api: &Api, operation: &BulkOperation, part: &mut BulkPart) -> Result<()> {
    let filters = RunFilters { flow_runs: operation.filter.clone(), ..RunFilters::default() };
    let started = Instant::now();
    let before = part.progress.matched;
    let step = Uuid::new_v5(&operation.id.0, format!("{}/{}", part.number, part.step).as_bytes());
    while part.progress.matched == before && started.elapsed() < PATIENCE {
        let Some(range) = part.rest.first() else { break };
        let (runs, rest) = api.store.next_flow_runs(range, &filters, PAGE).await?;
        part.progress.add(treat(api, operation, step, runs).await?);
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

async fn treat(api: &Api, operation: &BulkOperation, step: Uuid, runs: Vec<FlowRunId>) -> Result<BulkProgress> {
    let outcomes = stream::iter(runs)
        .map(|run| async move {
            let outcome = match &operation.work {
                BulkWork::DeleteFlowRuns => delete(api, run).await,
                BulkWork::SetFlowRunStates { state, force, client } => {
                    let state_id = StateId(Uuid::new_v5(&operation.id.0, run.0.as_bytes()));
                    let claim = Claim::new(table::treated_flow_run(operation.id, run), step);
                    let once = Some(Once { state_id, claim });
                    let (state, client) = (StateCreate::clone(state), client.clone());
                    propose(api, run, &Proposal { once, ..Proposal::new(state, *force, client) }).await
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

async fn delete(api: &Api, run: FlowRunId) -> Result<Outcome> {
    Ok(if api.store.delete_flow_run(run, api.now(), api.settings.longest_waits).await? {
        Outcome::Done
    } else {
        Outcome::Refused
    })
}

/// Proposes a state, unless that was done before.
async fn propose(api: &Api, run: FlowRunId, proposal: &Proposal) -> Result<Outcome> {
    let is_accepted = match propose_flow_run_state(api, run, proposal).await {
        Ok(outcome) => outcome.verdict.status() == Status::Accept,
        Err(Error::NoSuchRun(_)) => false,
        Err(Error::Conflict(_)) if let Some(Once { state_id, claim }) = &proposal.once => {
            if api.store.owner(&claim.key).await? != Some(claim.owner) {
                return Ok(Outcome::Counted);
            }
            api.store.flow_run_state(*state_id).await?.is_some()
        }
        Err(error) => return Err(error),
    };
    Ok(if is_accepted { Outcome::Done } else { Outcome::Refused })
}
