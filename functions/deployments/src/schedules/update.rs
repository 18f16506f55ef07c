//! `PATCH /deployments/{id}/schedules/{schedule_id}`: changes a schedule of a deployment.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    Api, Result,
    http::{Body, Path, Route},
    store::{Needs, commit::until_uncontended, deployments::AutoScheduled, table::Index},
};

use super::{SchedulePath, ScheduleUpdate};
use crate::{answers, schedules};

/// The contract's `update_deployment_schedule`.
pub static ROUTE: Route =
    Route::patch("update_deployment_schedule", "/deployments/{id}/schedules/{schedule_id}", || patch(update))
        .needing(Needs::WRITES.through(&[Index::WaitingOfDeployment]));

async fn update(
    State(api): State<Api>,
    Path(path): Path<SchedulePath>,
    Body(change): Body<ScheduleUpdate>,
) -> Result<StatusCode> {
    until_uncontended(|| async {
        let found = api.store.deployment(path.id).await?.ok_or_else(answers::no_deployment)?;
        let mut deployment = found.record.clone();
        let schedule = deployment.schedules.iter_mut().find(|schedule| schedule.id == path.schedule_id);
        change.apply_to(schedule.ok_or_else(schedules::not_found)?, api.now());
        schedules::require_unique_slugs(&deployment)?;
        deployment.sort_schedules();
        api.store.update_deployment_silently(&found, &deployment).await
    })
    .await?;
    api.store.delete_scheduled_runs(path.id, AutoScheduled::After(api.now())).await?;
    Ok(StatusCode::NO_CONTENT)
}
