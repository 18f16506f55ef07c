//! `POST /deployments/{id}/schedules`: adds schedules to a deployment.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, InWords, Result,
    http::{Body, Json, Path, Route, extract::Id},
    model::{Deployment, DeploymentId, deployment::DeploymentSchedule},
};

use super::NewSchedule;
use crate::{NOT_FOUND, schedules};

/// The contract's `create_deployment_schedules`.
pub static ROUTE: Route = Route::post("create_deployment_schedules", "/deployments/{id}/schedules", || post(create));

async fn create(
    State(app): State<App>,
    Path(path): Path<Id<DeploymentId>>,
    Body(body): Body<Vec<NewSchedule>>,
) -> Result<(StatusCode, Json<Vec<DeploymentSchedule>>)> {
    let now = app.now();
    let new = schedules::with_ids(body);
    let add = |deployment: &mut Deployment| {
        let is_there = |id| deployment.schedules.iter().any(|schedule| schedule.id == id);
        if new.first().is_some_and(|(id, _)| is_there(*id)) {
            // An attempt before this one was carried out, and its answer was lost.
            return Ok(schedules::add(&mut deployment.clone(), new.clone(), now));
        }
        let added = schedules::add(deployment, new.clone(), now);
        schedules::check(deployment)?;
        Ok(added)
    };
    let added = app.store.update_deployment_silently(path.id, add).await.in_words(NOT_FOUND)?;
    Ok((StatusCode::CREATED, Json(added)))
}
