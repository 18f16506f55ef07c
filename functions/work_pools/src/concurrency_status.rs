//! `POST /work_pools/{name}/concurrency_status`: shows the flow runs that hold the slots of a pool, queue by queue.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Path, Route, page::PageNumber},
    model::{WorkQueue, WorkQueueId},
    store::occupancy::{self, Holders, SlotSummary},
};
use serde::{Deserialize, Serialize};

use crate::path::PoolPath;

/// The contract's `read_work_pool_concurrency_status`.
pub static ROUTE: Route =
    Route::post("read_work_pool_concurrency_status", "/work_pools/{name}/concurrency_status", || post(read))
        .accessing(occupancy::SLOTS);

#[derive(Debug, Deserialize)]
struct Query {
    #[serde(flatten)]
    page: PageNumber,
    flow_run_limit: usize,
}

/// The answer (contract schema `WorkPoolConcurrencyStatus`).
#[derive(Debug, Serialize)]
struct PoolStatus {
    active_slots: u64,
    concurrency_limit: Option<i64>,
    queues: Vec<QueueStatus>,
    count: u64,
    limit: u64,
    pages: u64,
    page: usize,
}

/// A queue's part of it (contract schema `WorkQueueConcurrencyStatusDetail`).
#[derive(Debug, Serialize)]
struct QueueStatus {
    queue_id: WorkQueueId,
    queue_name: String,
    active_slots: usize,
    concurrency_limit: Option<i64>,
    flow_runs: Vec<SlotSummary>,
    flow_run_count: usize,
}

async fn read(
    State(app): State<App>,
    Path(path): Path<PoolPath>,
    Body(query): Body<Query>,
) -> Result<Json<PoolStatus>> {
    let found = path.worded_as_python_writes_it(app.store.read_work_pool_with_queues(path.name()).await)?;
    let window = query.page.window();
    let mut queues: Vec<WorkQueue> = found.queues.into_iter().map(|found| found.record.queue).collect();
    let count = u64::try_from(queues.len()).unwrap_or(u64::MAX);
    let mut shown = queues.split_off(window.offset.min(queues.len()));
    queues.extend(shown.drain(window.limit.min(shown.len())..));
    let unshown: Vec<WorkQueueId> = queues.iter().map(|queue| queue.id).collect();
    let shown = shown.into_iter().map(|queue| queue_status(&app, queue, query.flow_run_limit));
    let (elsewhere, shown) =
        tokio::try_join!(app.store.occupied_slots(&unshown, Holders::Active), futures::future::try_join_all(shown),)?;
    let page = query.page.of(shown, count);
    let here: u64 = page.results.iter().map(|queue| u64::try_from(queue.active_slots).unwrap_or(u64::MAX)).sum();
    Ok(Json(PoolStatus {
        active_slots: elsewhere.values().sum::<u64>() + here,
        concurrency_limit: found.pool.record.pool.concurrency_limit,
        queues: page.results,
        count: page.count,
        limit: page.limit,
        pages: page.pages,
        page: page.page,
    }))
}

async fn queue_status(app: &App, queue: WorkQueue, most_runs: usize) -> Result<QueueStatus> {
    let holders = app.store.slot_holders(queue.id, Holders::Active).await?;
    let shown: Vec<_> = holders.iter().copied().take(most_runs).collect();
    Ok(QueueStatus {
        queue_id: queue.id,
        queue_name: queue.name,
        active_slots: holders.len(),
        concurrency_limit: queue.concurrency_limit,
        flow_runs: app.store.slot_summaries(&shown, app.now()).await?,
        flow_run_count: holders.len(),
    })
}
