//! Operations on many records: those within the request, and those that outlive it.

use axum::{
    Json,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};

use crate::{
    api::Api,
    error::Result,
    model::{BulkOperation, BulkOperationId, BulkPart, BulkProgress, BulkWork, Timestamp},
    store::flow_run_query::RunFilters,
    work,
};
use serde::Serialize;

/// How many records of one request are treated at the same time.
pub const AT_ONCE: usize = 8;

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
    pub fn of(operation: &BulkOperation, parts: Vec<BulkPart>) -> Self {
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
            BulkWork::DeleteFlowRuns => "delete_flow_runs",
            BulkWork::SetFlowRunStates { .. } => "set_flow_run_states",
        };
        Self { id: operation.id, kind, status, created: operation.created, finished, sum }
    }
}

/// Begins an operation on all flow runs that `filters` select, and answers where to ask how far it has got.
pub async fn begin(api: &Api, filters: RunFilters, work: BulkWork) -> Result<Response> {
    let (operation, parts) = work::bulk::begin(api, filters, work).await?;
    let place = format!("{}/operations/{}", api.settings.base_path, operation.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, place)], Json(Progress::of(&operation, parts))).into_response())
}
