//! `POST /work_pools/{name}/get_scheduled_flow_runs`: hands the flow runs that are due to a worker that polls.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Path, Route},
    model::{FlowRun, Object, Timestamp, WorkPoolId, WorkQueueId},
    store::{
        Versioned,
        occupancy::{self, Holders},
        waiting_runs::{self, Due, OpenQueue},
        work_queues::{self, PoolWithQueues, StoredWorkQueue},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::path::{PoolPath, no_queue};

/// The contract's `get_scheduled_flow_runs`.
pub static ROUTE: Route =
    Route::post("get_scheduled_flow_runs", "/work_pools/{name}/get_scheduled_flow_runs", || post(poll))
        .accessing(work_queues::NOTE_POLL.and(waiting_runs::IN_QUEUES).and(occupancy::SLOTS));

/// How many runs a pool or a queue hands out at most, whatever its limit.
const MOST_SLOTS: usize = 1_000;

#[derive(Debug, Deserialize)]
struct Poll {
    work_queue_names: Option<Vec<String>>,
    scheduled_before: Option<Timestamp>,
    scheduled_after: Option<Timestamp>,
    limit: usize,
}

/// A run to be started (contract schema `WorkerFlowRunResponse`).
#[derive(Debug, Serialize)]
struct WorkerFlowRun {
    work_pool_id: WorkPoolId,
    work_queue_id: WorkQueueId,
    flow_run: Object,
}

async fn poll(
    State(app): State<App>,
    Path(path): Path<PoolPath>,
    Body(request): Body<Poll>,
) -> Result<Json<Vec<WorkerFlowRun>>> {
    let found = path.pool_with_queues(&app).await?;
    let queues = polled_queues(&found, &path, &request)?;
    let now = app.now();
    let pool = &found.pool.record.pool;
    let (runs, ()) =
        tokio::try_join!(due_runs(&app, &found, &queues, &request), app.store.note_poll(queues.iter().copied(), now))?;
    let answer = |(queue, run): (WorkQueueId, FlowRun)| {
        Ok(WorkerFlowRun {
            work_pool_id: pool.id,
            work_queue_id: queue,
            flow_run: for_worker(run.with_estimates(now))?,
        })
    };
    Ok(Json(runs.into_iter().map(answer).collect::<Result<_>>()?))
}

/// Returns the queues that are polled, by priority: those that are named, or all of them.
fn polled_queues<'p>(
    found: &'p PoolWithQueues,
    path: &PoolPath,
    request: &Poll,
) -> Result<Vec<&'p Versioned<StoredWorkQueue>>> {
    let names = request.work_queue_names.as_deref().unwrap_or_default();
    if let Some(name) = names.iter().find(|name| found.queue(name).is_none()) {
        return Err(no_queue(path.name(), name));
    }
    Ok(found.queues.iter().filter(|queue| names.is_empty() || names.contains(&queue.record.queue.name)).collect())
}

/// Returns the runs that are due in `queues`, as many as there are slots.
async fn due_runs(
    app: &App,
    found: &PoolWithQueues,
    queues: &[&Versioned<StoredWorkQueue>],
    request: &Poll,
) -> Result<Vec<(WorkQueueId, FlowRun)>> {
    let pool = &found.pool.record;
    if pool.pool.is_paused {
        return Ok(Vec::new());
    }
    let open = queues.iter().map(|found| &found.record.queue).filter(|queue| !queue.is_paused);
    let limited: Vec<WorkQueueId> = if pool.pool.concurrency_limit.is_some() {
        pool.queues.clone()
    } else {
        open.clone().filter(|queue| queue.concurrency_limit.is_some()).map(|queue| queue.id).collect()
    };
    let occupied = app.store.occupied_slots(&limited, Holders::Active).await?;
    let slots = |limit, taken: u64| free_slots(limit, taken).min(MOST_SLOTS);
    let open: Vec<OpenQueue> = open
        .map(|queue| OpenQueue {
            queue: queue.id,
            slots: slots(queue.concurrency_limit, occupied.get(&queue.id).copied().unwrap_or_default()),
        })
        .collect();
    let limit = request.limit.min(slots(pool.pool.concurrency_limit, occupied.values().sum()));
    let due = Due { after: request.scheduled_after, before: request.scheduled_before };
    let runs = app.store.waiting_in_queues(&open, due, limit).await?;
    Ok(runs.into_iter().filter_map(|(place, run)| Some((open.get(place)?.queue, run))).collect())
}

/// Returns how many slots are left of `limit`.
fn free_slots(limit: Option<i64>, taken: u64) -> usize {
    let Some(limit) = limit else { return usize::MAX };
    let left = i128::from(limit).saturating_sub(i128::from(taken)).max(0);
    usize::try_from(left).unwrap_or(usize::MAX)
}

/// Returns the run as workers get it (contract schema `FlowRun`): without its pool.
fn for_worker(run: FlowRun) -> Result<Object> {
    let Value::Object(mut fields) = serde_json::to_value(run)? else { return Ok(Object::new()) };
    fields.remove("work_pool_id");
    fields.remove("work_pool_name");
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_what_is_left_of_the_limit() {
        let table = [(None, 7, usize::MAX), (Some(3), 1, 2), (Some(3), 3, 0), (Some(3), 9, 0), (Some(0), 0, 0)];
        for (limit, taken, left) in table {
            assert_eq!(free_slots(limit, taken), left, "{limit:?} - {taken}");
        }
    }
}
