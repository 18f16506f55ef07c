//! Operations on many flow runs, carried out after their request was answered.

use serde::{Deserialize, Serialize};

use super::{FlowRunId, StateCreate, Timestamp, id::typed_id};
use crate::{filter::FlowRunFilter, orchestration::Client};

typed_id! {
    /// The id of an operation on many flow runs.
    BulkOperationId
}

/// An operation on every flow run that a filter selects.
///
/// It is carried out in parts that run beside each other, and each part in steps: see `jobs::bulk` of the services.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BulkOperation {
    /// The operation's id.
    pub id: BulkOperationId,
    /// When it was asked for.
    pub created: Timestamp,
    /// Which flow runs it is about: all of them without a filter.
    pub filter: Option<FlowRunFilter>,
    /// What is done to each of them.
    pub work: BulkAction,
    /// How many parts it has, counted from 0.
    pub parts: usize,
    /// When a client asked to stop it.
    pub stopped: Option<Timestamp>,
}

/// What is done to each flow run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BulkAction {
    /// It is deleted.
    DeleteFlowRuns,
    /// A state is proposed for it.
    SetFlowRunStates {
        /// The state.
        state: Box<StateCreate>,
        /// Whether the rules that would judge it are left out.
        force: bool,
        /// Who proposes it.
        client: Client,
    },
}

/// A part of a bulk operation: ranges of records, which only the store can read, and how far it has got in them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BulkPart<Range> {
    /// The operation.
    pub operation: BulkOperationId,
    /// Its place among the operation's parts.
    pub number: usize,
    /// Counts the steps that are done; the message for a step names it, so that one that comes again does nothing.
    pub step: u64,
    /// What is still to be read, the first one from where the last step ended.
    pub rest: Vec<Range>,
    /// What became of the flow runs so far.
    pub progress: BulkProgress,
    /// When nothing was left to do, or the part was given up.
    pub finished: Option<Timestamp>,
    /// Why the part was given up, so that flow runs are left that were not treated.
    #[serde(default)]
    pub given_up: Option<String>,
}

/// What became of the flow runs of a bulk operation so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkProgress {
    /// How many matched.
    pub matched: u64,
    /// How many were deleted, or entered the proposed state.
    pub done: u64,
    /// How many did not: the rules decided otherwise, or the flow run was gone.
    pub refused: u64,
    /// How many could not be treated.
    pub failed: u64,
    /// Some of the failures.
    pub failures: Vec<BulkFailure>,
}

/// Why a flow run could not be treated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkFailure {
    /// The flow run.
    pub flow_run_id: FlowRunId,
    /// The reason.
    pub reason: String,
}

/// How many failures are told of; the count goes on.
const FAILURES_TOLD: usize = 10;

impl BulkProgress {
    /// Adds what became of other flow runs.
    pub fn add(&mut self, other: Self) {
        self.matched += other.matched;
        self.done += other.done;
        self.refused += other.refused;
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES_TOLD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_failure_and_tells_of_some() {
        let failure = || BulkFailure { flow_run_id: FlowRunId::new(), reason: "any".into() };
        let one = || BulkProgress { matched: 1, failed: 1, failures: vec![failure()], ..BulkProgress::default() };
        let mut sum = BulkProgress::default();
        (0..50).for_each(|_| sum.add(one()));
        assert_eq!((sum.matched, sum.failed, sum.failures.len()), (50, 50, FAILURES_TOLD));
    }
}
