//! `POST /work_queues/{id}/get_runs`: hands the flow runs that are due to an agent that polls the queue.

use axum::{extract::State, routing::post};
use common::{
    App, Error, Result,
    filter::FlowRunSort,
    http::{Body, Headers, Json, Path, Route, extract::Id},
    model::{FlowRun, StateType, Timestamp, WorkQueue, WorkQueueId},
    store::{
        flow_run_query,
        select::Window,
        waiting_runs::{self, Due},
        work_queues,
    },
};
use serde::Deserialize;

use crate::responses::{self, occupied, selected_runs};

/// The contract's `read_work_queue_runs`.
pub static ROUTE: Route = Route::post("read_work_queue_runs", "/work_queues/{id}/get_runs", || post(get_runs))
    .accessing(responses::ACCESS.and(flow_run_query::FILTER).and(waiting_runs::IN_QUEUES).and(work_queues::NOTE_POLL));

#[derive(Debug, Deserialize)]
struct Poll {
    scheduled_before: Option<Timestamp>,
    limit: usize,
}

/// Who asks: the web interface shows the runs, and polls nothing.
#[derive(Debug, Deserialize)]
struct Asker {
    #[serde(rename = "x-prefect-ui")]
    is_ui: Option<bool>,
}

async fn get_runs(
    State(app): State<App>,
    Path(path): Path<Id<WorkQueueId>>,
    Headers(asker): Headers<Asker>,
    Body(request): Body<Poll>,
) -> Result<Json<Vec<FlowRun>>> {
    let no_queue = || Error::NoSuchRun(format!("Work queue with id {} not found.", path.id));
    let found = app.store.work_queue(path.id).await?.ok_or_else(no_queue)?;
    let now = app.now();
    let note = async { if asker.is_ui == Some(true) { Ok(()) } else { app.store.note_poll([&found], now).await } };
    let (runs, ()) = tokio::try_join!(due_runs(&app, &found.record.queue, &request), note)?;
    let answer = |run: FlowRun| FlowRun { work_pool_id: None, work_pool_name: None, ..run.with_estimates(now) };
    Ok(Json(runs.into_iter().map(answer).collect()))
}

async fn due_runs(app: &App, queue: &WorkQueue, request: &Poll) -> Result<Vec<FlowRun>> {
    if queue.is_paused {
        return Ok(Vec::new());
    }
    let limit = match queue.concurrency_limit {
        None => request.limit,
        Some(limit) => {
            let taken = occupied(app, std::iter::once(queue)).await?.get(&queue.id).copied().unwrap_or_default();
            let left = i128::from(limit).saturating_sub(i128::from(taken)).max(0);
            request.limit.min(usize::try_from(left).unwrap_or(usize::MAX))
        }
    };
    match &queue.filter {
        None => {
            let due = Due { after: None, before: request.scheduled_before };
            app.store.waiting_in_queue(queue.id, due, limit).await
        }
        Some(filter) => {
            let selected = selected_runs(filter, &[StateType::Scheduled], request.scheduled_before)?;
            let window = Window { offset: 0, limit };
            app.store.flow_runs(&selected, FlowRunSort::NextScheduledStartTimeAsc, window).await
        }
    }
}
