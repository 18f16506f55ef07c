//! `PATCH /deployments/{id}/schedules/{schedule_id}`: changes a schedule of a deployment.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    http::{Body, Path, Route},
    store::{TableAccess, commit::retry_on_conflict, deployments::AutoScheduled, table::Index},
};

use super::{SchedulePath, ScheduleUpdate};
use crate::{responses, schedules};

/// The contract's `update_deployment_schedule`.
pub static ROUTE: Route =
    Route::patch("update_deployment_schedule", "/deployments/{id}/schedules/{schedule_id}", || patch(update))
        .accessing(TableAccess::WRITES.via(&[Index::WaitingOfDeployment]));

async fn update(
    State(app): State<App>,
    Path(path): Path<SchedulePath>,
    Body(change): Body<ScheduleUpdate>,
) -> Result<StatusCode> {
    retry_on_conflict(|| async {
        let found = app.store.deployment(path.id).await?.ok_or_else(responses::no_deployment)?;
        let mut deployment = found.record.clone();
        let schedule = deployment.schedules.iter_mut().find(|schedule| schedule.id == path.schedule_id);
        change.apply_to(schedule.ok_or_else(schedules::not_found)?, app.now());
        schedules::require_unique_slugs(&deployment)?;
        deployment.sort_schedules();
        app.store.update_deployment_silently(&found, &deployment).await
    })
    .await?;
    app.store.delete_scheduled_runs(path.id, AutoScheduled::After(app.now())).await?;
    Ok(StatusCode::NO_CONTENT)
}
