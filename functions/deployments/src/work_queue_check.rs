//! `GET /deployments/{id}/work_queue_check`: reads the queues whose deprecated selections take the deployment's runs in.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Path, Route, extract::Id},
    model::{Deployment, DeploymentId, WorkQueue, work_queue::QueueFilter},
    store::{TableAccess, select::Window, table::Index},
};
use serde_json::Value;

/// The contract's `work_queue_check_for_deployment`.
pub static ROUTE: Route =
    Route::get("work_queue_check_for_deployment", "/deployments/{id}/work_queue_check", || get(check))
        .accessing(TableAccess::READS.via(&[Index::ByName]));

async fn check(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<Vec<Value>>> {
    let found = app.store.read_one::<Deployment>(path.id).await?;
    let found_queues = app.store.work_queues(None, Window { offset: 0, limit: usize::MAX }).await?;
    let mut queues: Vec<WorkQueue> = found_queues.into_iter().map(|kept| kept.queue).collect();
    queues.retain(|queue| queue.filter.as_ref().is_none_or(|filter| takes_in(filter, &found.record)));
    queues.sort_by_key(|queue| (queue.created, queue.id));
    Ok(Json(queues.iter().map(answer).collect::<Result<_>>()?))
}

/// Says whether a selection takes the deployment's runs in; what it doesn't name, or names nothing of, leaves none out.
fn takes_in(filter: &QueueFilter, deployment: &Deployment) -> bool {
    let tags = filter.tags.iter().flatten();
    let ids = filter.deployment_ids.as_ref().filter(|ids| !ids.is_empty());
    tags.into_iter().all(|tag| deployment.tags.contains(tag)) && ids.is_none_or(|ids| ids.contains(&deployment.id))
}

/// Returns the queue in the older form of the contract (schema `WorkQueue`), which has no status.
fn answer(queue: &WorkQueue) -> Result<Value> {
    let mut answer = serde_json::to_value(queue)?;
    if let Value::Object(fields) = &mut answer {
        fields.shift_remove("status");
    }
    Ok(answer)
}
