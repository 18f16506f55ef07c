//! `GET /deployments/{id}/schedules`: reads the schedules of a deployment, the last changed first.

use axum::{Json, extract::State, routing::get};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    model::{DeploymentId, deployment::DeploymentSchedule},
};

use crate::responses;

/// The contract's `read_deployment_schedules`.
pub static ROUTE: Route = Route::get("read_deployment_schedules", "/deployments/{id}/schedules", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<Vec<DeploymentSchedule>>> {
    let found = app.store.deployment(path.id).await?.ok_or_else(responses::no_deployment)?;
    Ok(Json(found.record.schedules))
}
