//! `POST /work_pools/`: makes a work pool with its default queue.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    blocks::answers,
    http::{Body, Json, Route, extract::FromClient},
    job_variables,
    model::{
        Object, WorkPool, WorkPoolId,
        work_pool::{FOR_AGENTS, WorkPoolStatus, WorkPoolStorageConfiguration},
    },
    schema_tools::Allowance,
    store::{TableAccess, work_pools::StoredWorkPool},
};
use serde::Deserialize;

use crate::{path::is_reserved, response::WorkPoolResponse};

/// The contract's `create_work_pool`.
pub static ROUTE: Route = Route::post("create_work_pool", "/work_pools/", || post(create))
    .accessing(TableAccess::WRITES.and(answers::DEFAULTS));

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
    State(app): State<App>,
    client: FromClient,
    Body(body): Body<WorkPoolCreate>,
) -> Result<(StatusCode, Json<WorkPoolResponse>)> {
    if is_reserved(&body.name) {
        let message = "Work pools starting with 'Prefect' are reserved for internal use.";
        return Err(Error::Forbidden(message.into()));
    }
    let blocks = answers::with_defaults_of(&app, &body.base_job_template).await?;
    job_variables::check_defaults(&body.base_job_template, &blocks, &Allowance::default())?;
    let (now, status) = (app.now(), status(&body.r#type, body.is_paused));
    let pool = WorkPool {
        id: WorkPoolId::new(),
        created: now,
        updated: now,
        name: body.name,
        description: body.description,
        status: None,
        r#type: body.r#type,
        base_job_template: body.base_job_template,
        is_paused: body.is_paused,
        concurrency_limit: body.concurrency_limit,
        default_queue_id: None,
        storage_configuration: body.storage_configuration,
    };
    let (mut kept, queue) = StoredWorkPool::with_default_queue(pool);
    kept.enter(status, now);
    app.store.add_work_pool(&kept, &queue).await.map_err(|error| match error {
        Error::Conflict(_) => Error::Conflict("A work pool with this name already exists.".into()),
        other => other,
    })?;
    Ok((StatusCode::CREATED, Json(WorkPoolResponse::new(kept.pool, 0, &client))))
}

/// Returns the status of a pool that no worker serves yet; to be paused says nothing of pools for agents.
fn status(r#type: &str, is_paused: bool) -> WorkPoolStatus {
    if is_paused && r#type != FOR_AGENTS { WorkPoolStatus::Paused } else { WorkPoolStatus::NotReady }
}
