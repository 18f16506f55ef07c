//! `POST /work_queues/{id}/get_runs`: hands the flow runs that are due to an agent that polls the queue.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Error, Result,
    filter::FlowRunSort,
    http::{Body, Headers, Path, Route, extract::Id},
    model::{FlowRun, StateType, Timestamp, WorkQueue, WorkQueueId},
    store::{Needs, select::Window, table::Index, waiting_runs::Due},
};
use serde::Deserialize;

use crate::answers::{occupied, selected_runs};

/// The contract's `read_work_queue_runs`.
pub static ROUTE: Route = Route::post("read_work_queue_runs", "/work_queues/{id}/get_runs", || post(get_runs))
    .needing(Needs::WRITES.through(&Index::ALL));

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
    State(api): State<Api>,
    Path(path): Path<Id<WorkQueueId>>,
    Headers(asker): Headers<Asker>,
    Body(poll): Body<Poll>,
) -> Result<Json<Vec<FlowRun>>> {
    let no_queue = || Error::NoSuchRun(format!("Work queue with id {} not found.", path.id));
    let found = api.store.work_queue(path.id).await?.ok_or_else(no_queue)?;
    let now = api.now();
    let runs = due_runs(&api, &found.record.queue, &poll).await?;
    if asker.is_ui != Some(true)
        && let Some(of) = api.store.pool_of_queue(&found.record.queue).await?
    {
        api.store.note_poll(&of.pool.record.pool, [&found], now).await?;
    }
    let answer = |run: FlowRun| FlowRun { work_pool_id: None, work_pool_name: None, ..run.with_estimates(now) };
    Ok(Json(runs.into_iter().map(answer).collect()))
}

async fn due_runs(api: &Api, queue: &WorkQueue, poll: &Poll) -> Result<Vec<FlowRun>> {
    if queue.is_paused {
        return Ok(Vec::new());
    }
    let limit = match queue.concurrency_limit {
        None => poll.limit,
        Some(limit) => {
            let taken = occupied(api, std::slice::from_ref(queue)).await?.get(&queue.id).copied().unwrap_or_default();
            let left = i128::from(limit).saturating_sub(i128::from(taken)).max(0);
            poll.limit.min(usize::try_from(left).unwrap_or(usize::MAX))
        }
    };
    match &queue.filter {
        None => {
            let due = Due { after: None, before: poll.scheduled_before };
            api.store.waiting_in_queue(queue.id, due, limit).await
        }
        Some(filter) => {
            let selected = selected_runs(filter, &[StateType::Scheduled], poll.scheduled_before)?;
            let window = Window { offset: 0, limit };
            api.store.flow_runs(&selected, FlowRunSort::NextScheduledStartTimeAsc, window).await
        }
    }
}
