//! How far operations on many flow runs have got.

use std::collections::{BTreeSet, HashMap};

use domain::model::{BulkAction, BulkOperation, BulkOperationId, BulkProgress, StateType, Timestamp};
use serde::Serialize;
use store::bulk_operations::FlowRunPart;

/// How far an operation has got.
#[derive(Debug, Serialize)]
pub struct Progress {
    id: BulkOperationId,
    kind: &'static str,
    status: Status,
    /// The type of the state that is proposed, if one is.
    state_type: Option<StateType>,
    created: Timestamp,
    /// When somebody asked to stop it.
    stopped: Option<Timestamp>,
    finished: Option<Timestamp>,
    /// How many parts it has, each of them a share of what is to be looked through.
    parts: usize,
    finished_parts: usize,
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
        let finished_parts = parts.iter().filter(|part| part.finished.is_some()).count();
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
        let (kind, state_type) = match &operation.work {
            BulkAction::DeleteFlowRuns => ("delete_flow_runs", None),
            BulkAction::SetFlowRunStates { state, .. } => ("set_flow_run_states", Some(state.r#type)),
        };
        let BulkOperation { id, created, stopped, parts, .. } = *operation;
        Self { id, kind, status, state_type, created, stopped, finished, parts, finished_parts, given_up, sum }
    }
}

impl Progress {
    /// Puts together what all `parts` say of each of `operations`, in their order.
    pub fn of_each(operations: &[BulkOperation], parts: Vec<FlowRunPart>) -> Vec<Self> {
        let mut parts_of: HashMap<BulkOperationId, Vec<FlowRunPart>> = HashMap::new();
        for part in parts {
            parts_of.entry(part.operation).or_default().push(part);
        }
        operations
            .iter()
            .map(|operation| Self::of(operation, parts_of.remove(&operation.id).unwrap_or_default()))
            .collect()
    }

    /// Returns the id of the operation.
    pub fn id(&self) -> BulkOperationId {
        self.id
    }
}
