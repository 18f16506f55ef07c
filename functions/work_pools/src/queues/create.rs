//! `POST /work_pools/{work_pool_name}/queues`: adds a queue to a work pool.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    Api, Error, Result,
    http::{Body, Path, Route},
    model::{
        WorkQueue, WorkQueueId,
        work_queue::{QueueFilter, WorkQueueStatus},
    },
    store::{commit::until_uncontended, work_queues::KeptWorkQueue},
    work_pool_events,
    work_queue_priorities::first_free,
};
use serde::Deserialize;

use crate::{path::PoolPath, response::WorkQueueResponse};

/// The contract's `create_work_queue` of a pool.
pub static ROUTE: Route = Route::post("create_work_queue", "/work_pools/{work_pool_name}/queues", || post(create));

#[derive(Clone, Debug, Deserialize)]
struct WorkQueueCreate {
    name: String,
    description: Option<String>,
    is_paused: bool,
    concurrency_limit: Option<i64>,
    priority: Option<i64>,
    filter: Option<QueueFilter>,
}

async fn create(
    State(api): State<Api>,
    Path(path): Path<PoolPath>,
    Body(body): Body<WorkQueueCreate>,
) -> Result<(StatusCode, Json<WorkQueueResponse>)> {
    let (id, now) = (WorkQueueId::new(), api.now());
    let answer = until_uncontended(|| async {
        let to = path.pool_with_queues(&api).await?;
        let pool = &to.pool.record.pool;
        if let Some(found) = to.queue(&body.name) {
            if found.record.queue.id == id {
                // An attempt before this one was carried out, and its answer was lost.
                return Ok(WorkQueueResponse::new(found.record.queue.clone(), pool));
            }
            // Upstream forgot to fill the name in.
            let message = "A work queue with this name already exists in work pool {work_pool_name!r}.";
            return Err(Error::Conflict(message.into()).into());
        }
        let body = body.clone();
        let queue = WorkQueue {
            id,
            created: now,
            updated: now,
            name: body.name,
            description: body.description.or_else(|| Some(String::new())),
            is_paused: body.is_paused,
            concurrency_limit: body.concurrency_limit,
            priority: body.priority.unwrap_or_else(|| first_free(&to.ranks())),
            work_pool_id: Some(pool.id),
            filter: body.filter,
            last_polled: None,
            status: WorkQueueStatus::NotReady,
        };
        let events = vec![work_pool_events::queue_created(&queue, pool)?];
        let kept = KeptWorkQueue::new(queue, events);
        api.store.add_work_queue(&to, &kept).await?;
        Ok(WorkQueueResponse::new(kept.queue, pool))
    })
    .await?;
    Ok((StatusCode::CREATED, Json(answer)))
}
