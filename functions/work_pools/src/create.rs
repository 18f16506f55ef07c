//! `POST /work_pools/`: makes a work pool with its default queue.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    Api, Error, Result,
    http::{Body, Route},
    job_variables,
    model::{
        Object, WorkPool, WorkPoolId,
        work_pool::{WorkPoolStatus, WorkPoolStorageConfiguration},
    },
    work_places::with_default_queue,
};
use serde::Deserialize;

use crate::{path::is_reserved, response::WorkPoolResponse};

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
    let now = api.now();
    let (pool, default_queue) = with_default_queue(WorkPool {
        id: WorkPoolId::new(),
        created: now,
        updated: now,
        name: body.name,
        description: body.description,
        status: status(&body.r#type, body.is_paused),
        r#type: body.r#type,
        base_job_template: body.base_job_template,
        is_paused: body.is_paused,
        concurrency_limit: body.concurrency_limit,
        default_queue_id: None,
        storage_configuration: body.storage_configuration,
    })?;
    api.store.add_work_pool(&pool, &default_queue).await?;
    Ok((StatusCode::CREATED, Json(pool.pool.into())))
}

/// Returns the status of a pool that no worker serves yet; pools of the type `prefect-agent` have none.
fn status(r#type: &str, is_paused: bool) -> Option<WorkPoolStatus> {
    match (r#type, is_paused) {
        ("prefect-agent", _) => None,
        (_, true) => Some(WorkPoolStatus::Paused),
        (_, false) => Some(WorkPoolStatus::NotReady),
    }
}
