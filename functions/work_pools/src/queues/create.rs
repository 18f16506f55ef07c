//! `POST /work_pools/{work_pool_name}/queues`: adds a queue to a work pool.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Path, Route},
    model::{
        WorkQueueId,
        work_queue::{WorkQueueAnswer, WorkQueueCreate},
    },
    priorities::first_free,
    store::{commit::retry_on_conflict, work_queues::StoredWorkQueue},
};

use crate::path::PoolPath;

/// The contract's `create_work_queue` of a pool.
pub static ROUTE: Route = Route::post("create_work_queue", "/work_pools/{work_pool_name}/queues", || post(create));

async fn create(
    State(app): State<App>,
    Path(path): Path<PoolPath>,
    Body(body): Body<WorkQueueCreate>,
) -> Result<(StatusCode, Json<WorkQueueAnswer>)> {
    let (id, now) = (WorkQueueId::new(), app.now());
    let answer = retry_on_conflict(|| async {
        let to = path.pool_with_queues(&app).await?;
        let pool = &to.pool.record.pool;
        if let Some(found) = to.queue(&body.name) {
            if found.record.queue.id == id {
                // An attempt before this one was carried out, and its answer was lost.
                return Ok(WorkQueueAnswer::new(found.record.queue.clone(), Some(pool.name.clone()), 0));
            }
            // Prefect forgot to fill the name in.
            let message = "A work queue with this name already exists in work pool {work_pool_name!r}.";
            return Err(Error::Conflict(message.into()).into());
        }
        let queue = body.clone().into_queue(id, pool.id, first_free(&to.ranks()), now);
        let kept = StoredWorkQueue::added(queue, pool)?;
        app.store.add_work_queue(&to, &kept).await?;
        Ok(WorkQueueAnswer::new(kept.queue, Some(pool.name.clone()), 0))
    })
    .await?;
    Ok((StatusCode::CREATED, Json(answer)))
}
