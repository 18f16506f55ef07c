//! Pools and their queues as the API answers them.

use common::{
    App, Result,
    http::extract::FromClient,
    model::{WorkPool, WorkQueue, WorkQueueId, work_pool::FOR_AGENTS, work_queue::WorkQueueAnswer},
    store::{occupancy::Holders, work_pools::StoredWorkPool},
};
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::Value;

/// A work pool as it is answered (contract schema `WorkPoolResponse`).
#[derive(Debug, Serialize)]
pub(crate) struct WorkPoolResponse {
    #[serde(flatten)]
    pool: ForClient,
    active_slots: Option<u64>,
}

impl WorkPoolResponse {
    /// Makes the answer to `client` for `pool`, of whose slots so many are in use; they count only where it has a limit.
    pub(crate) fn new(pool: WorkPool, occupied: u64, client: &FromClient) -> Self {
        let status = pool.status.filter(|_| pool.r#type != FOR_AGENTS);
        let active_slots = pool.concurrency_limit.map(|_| occupied);
        let (pool, has_result_storage) = (WorkPool { status, ..pool }, client.0.knows_result_storage());
        Self { pool: ForClient { pool, has_result_storage }, active_slots }
    }
}

/// A pool for a client, without what an old one refuses to read.
#[derive(Debug)]
struct ForClient {
    pool: WorkPool,
    has_result_storage: bool,
}

impl Serialize for ForClient {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.has_result_storage {
            return self.pool.serialize(serializer);
        }
        let mut pool = serde_json::to_value(&self.pool).map_err(S::Error::custom)?;
        if let Some(Value::Object(storage)) = pool.get_mut("storage_configuration") {
            storage.retain(|name, _| name != "default_result_storage_block_id");
        }
        pool.serialize(serializer)
    }
}

/// Returns the answers to `client` for `pools`, in their order.
pub(crate) async fn pools(app: &App, pools: Vec<StoredWorkPool>, client: &FromClient) -> Result<Vec<WorkPoolResponse>> {
    let limited = pools.iter().filter(|kept| kept.pool.concurrency_limit.is_some());
    let queues: Vec<WorkQueueId> = limited.flat_map(|kept| kept.queues.iter().copied()).collect();
    let occupied = app.store.occupied_slots(&queues, Holders::Active).await?;
    let answer = |kept: StoredWorkPool| {
        let occupied = kept.queues.iter().filter_map(|queue| occupied.get(queue)).sum();
        WorkPoolResponse::new(kept.pool, occupied, client)
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
