//! `POST /work_pools/`: makes a work pool with its default queue.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    Api, Error, Result,
    http::{Body, Route},
    model::{
        Object, WorkPool, WorkPoolId, WorkQueue, WorkQueueId,
        work_pool::{WorkPoolStatus, WorkPoolStorageConfiguration},
        work_queue::WorkQueueStatus,
    },
    store::{work_pools::KeptWorkPool, work_queues::KeptWorkQueue},
    work_pool_events,
};
use serde::Deserialize;

use crate::{job_variables, path::is_reserved, response::WorkPoolResponse};

/// The contract's `create_work_pool`.
pub static ROUTE: Route = Route::post("create_work_pool", "/work_pools/", || post(create));

#[derive(Debug, Deserialize)]
struct WorkPoolCreate {
    name: String,
    description: Option<String>,
    r#type: String,
    base_job_template: Object,
    is_paused: bool,
    concurrency_limit: Option<i64>,
    #[serde(default)]
    storage_configuration: WorkPoolStorageConfiguration,
}

async fn create(
    State(api): State<Api>,
    Body(body): Body<WorkPoolCreate>,
) -> Result<(StatusCode, Json<WorkPoolResponse>)> {
    if is_reserved(&body.name) {
        let message = "Work pools starting with 'Prefect' are reserved for internal use.";
        return Err(Error::Forbidden(message.into()));
    }
    job_variables::check_defaults(&body.base_job_template)?;
    let (id, queue_id, now) = (WorkPoolId::new(), WorkQueueId::new(), api.now());
    let pool = WorkPool {
        id,
        created: now,
        updated: now,
        name: body.name,
        description: body.description,
        status: status(&body.r#type, body.is_paused),
        r#type: body.r#type,
        base_job_template: body.base_job_template,
        is_paused: body.is_paused,
        concurrency_limit: body.concurrency_limit,
        default_queue_id: Some(queue_id),
        storage_configuration: body.storage_configuration,
    };
    let queue = WorkQueue {
        id: queue_id,
        created: now,
        updated: now,
        name: "default".into(),
        description: Some("The work pool's default queue.".into()),
        is_paused: false,
        concurrency_limit: None,
        priority: 1,
        work_pool_id: Some(id),
        filter: None,
        last_polled: None,
        status: WorkQueueStatus::NotReady,
    };
    let queue_events = vec![work_pool_events::queue_created(&queue, &pool)?];
    let pool_events = vec![work_pool_events::pool_created(&pool)?, work_pool_events::pool_status(&pool, None)?];
    let kept = KeptWorkPool { pool, queues: vec![queue_id], last_status: None, events: pool_events, check: None };
    api.store.add_work_pool(&kept, &KeptWorkQueue::new(queue, queue_events)).await?;
    Ok((StatusCode::CREATED, Json(kept.pool.into())))
}

/// Returns the status of a pool that no worker serves yet; pools of the type `prefect-agent` have none.
fn status(r#type: &str, is_paused: bool) -> Option<WorkPoolStatus> {
    match (r#type, is_paused) {
        ("prefect-agent", _) => None,
        (_, true) => Some(WorkPoolStatus::Paused),
        (_, false) => Some(WorkPoolStatus::NotReady),
    }
}
