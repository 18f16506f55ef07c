//! Pools and their queues as the API answers them.

use common::{
    App, Result,
    model::{WorkPool, WorkQueue, WorkQueueId, work_pool::FOR_AGENTS, work_queue::WorkQueueAnswer},
    store::{occupancy::Holders, work_pools::StoredWorkPool},
};
use serde::Serialize;

/// A work pool as it is answered (contract schema `WorkPoolResponse`).
#[derive(Debug, Serialize)]
pub(crate) struct WorkPoolResponse {
    #[serde(flatten)]
    pool: WorkPool,
    active_slots: Option<u64>,
}

impl WorkPoolResponse {
    /// Makes the answer for `pool`, of whose slots so many are in use; they count only where it has a limit.
    pub(crate) fn new(pool: WorkPool, occupied: u64) -> Self {
        let status = pool.status.filter(|_| pool.r#type != FOR_AGENTS);
        let pool = WorkPool { status, ..pool };
        Self { active_slots: pool.concurrency_limit.map(|_| occupied), pool }
    }
}

/// Returns the answers for `pools`, in their order.
pub(crate) async fn pools(app: &App, pools: Vec<StoredWorkPool>) -> Result<Vec<WorkPoolResponse>> {
    let limited = pools.iter().filter(|kept| kept.pool.concurrency_limit.is_some());
    let queues: Vec<WorkQueueId> = limited.flat_map(|kept| kept.queues.iter().copied()).collect();
    let occupied = app.store.occupied_slots(&queues, Holders::Active).await?;
    let answer = |kept: StoredWorkPool| {
        let occupied = kept.queues.iter().filter_map(|queue| occupied.get(queue)).sum();
        WorkPoolResponse::new(kept.pool, occupied)
    };
    Ok(pools.into_iter().map(answer).collect())
}

/// Returns the answers for `queues` of `pool`, in their order.
pub(crate) async fn queues(app: &App, pool: &WorkPool, queues: Vec<WorkQueue>) -> Result<Vec<WorkQueueAnswer>> {
    let limited = queues.iter().filter(|queue| queue.concurrency_limit.is_some());
    let limited: Vec<WorkQueueId> = limited.map(|queue| queue.id).collect();
    let occupied = app.store.occupied_slots(&limited, Holders::Active).await?;
    let answer = |queue: WorkQueue| {
        let occupied = occupied.get(&queue.id).copied().unwrap_or_default();
        WorkQueueAnswer::new(queue, Some(pool.name.clone()), occupied)
    };
    Ok(queues.into_iter().map(answer).collect())
}
