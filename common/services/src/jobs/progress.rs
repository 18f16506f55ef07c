//! How far operations on many flow runs have got.

use std::collections::BTreeSet;

use domain::model::{BulkAction, BulkOperation, BulkOperationId, BulkProgress, Timestamp};
use serde::Serialize;
use store::bulk_operations::FlowRunPart;

/// How far an operation has got.
#[derive(Debug, Serialize)]
pub struct Progress {
    id: BulkOperationId,
    kind: &'static str,
    status: Status,
    created: Timestamp,
    finished: Option<Timestamp>,
    /// Why parts of it were given up, each reason once.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    given_up: BTreeSet<String>,
    #[serde(flatten)]
    sum: BulkProgress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    Running,
    Completed,
    Stopped,
    /// Some of its parts were given up: flow runs are left that were not treated.
    Failed,
}

impl Progress {
    /// Puts together what the parts of `operation` say.
    pub fn of(operation: &BulkOperation, parts: Vec<FlowRunPart>) -> Self {
        let ends: Vec<_> = parts.iter().map(|part| part.finished).collect();
        let is_over = ends.len() == operation.parts && ends.iter().all(Option::is_some);
        let finished = if is_over { ends.into_iter().flatten().max() } else { None };
        let (mut sum, mut given_up) = (BulkProgress::default(), BTreeSet::new());
        for part in parts {
            sum.add(part.progress);
            given_up.extend(part.given_up);
        }
        let status = match (finished, operation.stopped) {
            (None, _) => Status::Running,
            (Some(_), _) if !given_up.is_empty() => Status::Failed,
            (Some(finished), Some(stopped)) if stopped <= finished => Status::Stopped,
            (Some(_), _) => Status::Completed,
        };
        let kind = match operation.work {
            BulkAction::DeleteFlowRuns => "delete_flow_runs",
            BulkAction::SetFlowRunStates { .. } => "set_flow_run_states",
        };
        Self { id: operation.id, kind, status, created: operation.created, finished, given_up, sum }
    }
}

impl Progress {
    /// Returns the id of the operation.
    pub fn id(&self) -> BulkOperationId {
        self.id
    }
}
