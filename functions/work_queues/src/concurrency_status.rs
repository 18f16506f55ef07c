//! `POST /work_queues/{id}/concurrency_status`: shows the flow runs that hold the slots of a work queue.

use axum::{extract::State, routing::post};
use common::{
    App, InWords, Result,
    http::{Body, Json, Path, Route, extract::Id, page::PageNumber},
    model::WorkQueueId,
    store::{
        occupancy::{self, Holders, SlotSummary},
        work_queues::StoredWorkQueue,
    },
};
use serde::Serialize;

/// The contract's `read_work_queue_concurrency_status`.
pub static ROUTE: Route =
    Route::post("read_work_queue_concurrency_status", "/work_queues/{id}/concurrency_status", || post(read))
        .accessing(occupancy::SLOTS);

/// The answer (contract schema `WorkQueueConcurrencyStatus`).
#[derive(Debug, Serialize)]
struct QueueStatus {
    active_slots: u64,
    concurrency_limit: Option<i64>,
    flow_runs: Vec<SlotSummary>,
    count: u64,
    limit: u64,
    pages: u64,
    page: usize,
}

async fn read(
    State(app): State<App>,
    Path(path): Path<Id<WorkQueueId>>,
    Body(page): Body<PageNumber>,
) -> Result<Json<QueueStatus>> {
    let found = app.store.read_one::<StoredWorkQueue>(path.id).await.in_words("Work queue not found.")?;
    let queue = found.record.queue;
    let holders = app.store.slot_holders(path.id, Holders::ActiveOrCancelling).await?;
    let window = page.window();
    let shown: Vec<_> = holders.iter().copied().skip(window.offset).take(window.limit).collect();
    let runs = app.store.slot_summaries(&shown, app.now()).await?;
    let page = page.of(runs, u64::try_from(holders.len()).unwrap_or(u64::MAX));
    Ok(Json(QueueStatus {
        active_slots: page.count,
        concurrency_limit: queue.concurrency_limit,
        flow_runs: page.results,
        count: page.count,
        limit: page.limit,
        pages: page.pages,
        page: page.page,
    }))
}
