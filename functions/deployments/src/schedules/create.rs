//! `POST /deployments/{id}/schedules`: adds schedules to a deployment.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    http::{Body, Path, Route, extract::Id},
    model::{DeploymentId, deployment::DeploymentSchedule},
    store::commit::retry_on_conflict,
};

use super::NewSchedule;
use crate::{responses, schedules};

/// The contract's `create_deployment_schedules`.
pub static ROUTE: Route = Route::post("create_deployment_schedules", "/deployments/{id}/schedules", || post(create));

async fn create(
    State(app): State<App>,
    Path(path): Path<Id<DeploymentId>>,
    Body(body): Body<Vec<NewSchedule>>,
) -> Result<(StatusCode, Json<Vec<DeploymentSchedule>>)> {
    let now = app.now();
    let new = schedules::with_ids(body);
    let added = retry_on_conflict(|| async {
        let found = app.store.deployment(path.id).await?.ok_or_else(responses::no_deployment)?;
        let mut deployment = found.record.clone();
        let is_there = |id| deployment.schedules.iter().any(|schedule| schedule.id == id);
        if new.first().is_some_and(|(id, _)| is_there(*id)) {
            // An attempt before this one was carried out, and its answer was lost.
            return Ok(schedules::add(&mut deployment, new.clone(), now));
        }
        let added = schedules::add(&mut deployment, new.clone(), now);
        schedules::require_unique_slugs(&deployment)?;
        app.store.update_deployment_silently(&found, &deployment).await?;
        Ok(added)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(added)))
}
