//! `GET /deployments/{id}/schedules`: reads the schedules of a deployment, the last changed first.

use axum::{extract::State, routing::get};
use common::{
    App, InWords, Result,
    http::{Json, Path, Route, extract::Id},
    model::{Deployment, DeploymentId, deployment::DeploymentSchedule},
};

use crate::NOT_FOUND;

/// The contract's `read_deployment_schedules`.
pub static ROUTE: Route = Route::get("read_deployment_schedules", "/deployments/{id}/schedules", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<DeploymentId>>) -> Result<Json<Vec<DeploymentSchedule>>> {
    let found = app.store.read_one::<Deployment>(path.id).await.in_words(NOT_FOUND)?;
    Ok(Json(found.record.schedules))
}
