//! How far operations on many flow runs have got.

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
    #[serde(flatten)]
    sum: BulkProgress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    Running,
    Completed,
    Stopped,
}

impl Progress {
    /// Puts together what the parts of `operation` say.
    pub fn of(operation: &BulkOperation, parts: Vec<FlowRunPart>) -> Self {
        let ends: Vec<_> = parts.iter().map(|part| part.finished).collect();
        let is_over = ends.len() == operation.parts && ends.iter().all(Option::is_some);
        let finished = if is_over { ends.into_iter().flatten().max() } else { None };
        let mut sum = BulkProgress::default();
        for part in parts {
            sum.add(part.progress);
        }
        let status = match (finished, operation.stopped) {
            (None, _) => Status::Running,
            (Some(finished), Some(stopped)) if stopped <= finished => Status::Stopped,
            (Some(_), _) => Status::Completed,
        };
        let kind = match operation.work {
            BulkAction::DeleteFlowRuns => "delete_flow_runs",
            BulkAction::SetFlowRunStates { .. } => "set_flow_run_states",
        };
        Self { id: operation.id, kind, status, created: operation.created, finished, sum }
    }
}

impl Progress {
    /// Returns the id of the operation.
    pub fn id(&self) -> BulkOperationId {
        self.id
    }
}
