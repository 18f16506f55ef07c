//! `POST /work_queues/`: adds a queue to the pool of queues of which no pool is named.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Route},
    model::{
        WorkQueueId,
        work_queue::{WorkQueueAnswer, WorkQueueCreate},
    },
    priorities::first_free,
    store::{commit::retry_on_conflict, work_queues::StoredWorkQueue},
};

/// The contract's `create_work_queue` without a pool.
pub static ROUTE: Route = Route::post("create_work_queue_without_pool", "/work_queues/", || post(create));

async fn create(
    State(app): State<App>,
    Body(body): Body<WorkQueueCreate>,
) -> Result<(StatusCode, Json<WorkQueueAnswer>)> {
    let (id, now) = (WorkQueueId::new(), app.now());
    let answer = retry_on_conflict(|| async {
        let (to, is_new) = app.store.default_agent_pool(now).await?;
        let pool = &to.pool.record.pool;
        let answer = |queue| Ok(WorkQueueAnswer::new(queue, Some(pool.name.clone()), 0));
        if let Some(found) = to.queue(&body.name) {
            let queue = found.record.queue.clone();
            // A new pool has brought its default queue along; with our id, the answer of an attempt before was lost.
            return if is_new || queue.id == id { answer(queue) } else { Err(exists().into()) };
        }
        let queue = body.clone().into_queue(id, pool.id, first_free(&to.ranks()), now);
        let kept = StoredWorkQueue::added(queue, pool)?;
        app.store.add_work_queue(&to, &kept).await?;
        answer(kept.queue)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

fn exists() -> Error {
    Error::Conflict("A work queue with this name already exists.".into())
}
