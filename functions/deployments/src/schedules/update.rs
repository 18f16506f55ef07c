//! `PATCH /deployments/{id}/schedules/{schedule_id}`: changes a schedule of a deployment.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, InWords, Result,
    http::{Path, Route, Sent},
    model::Deployment,
    store::deployments::{self, AutoScheduled},
    void_runs,
};

use super::{SchedulePath, ScheduleUpdate};
use crate::{NOT_FOUND, schedules};

/// The contract's `update_deployment_schedule`.
pub static ROUTE: Route =
    Route::patch("update_deployment_schedule", "/deployments/{id}/schedules/{schedule_id}", || patch(update))
        .accessing(deployments::DELETE_VOID_RUNS);

async fn update(
    State(app): State<App>,
    Path(path): Path<SchedulePath>,
    Sent(change): Sent<ScheduleUpdate>,
) -> Result<StatusCode> {
    let apply = |deployment: &mut Deployment| {
        let schedule = deployment.schedules.iter_mut().find(|schedule| schedule.id == path.schedule_id);
        change.apply_to(schedule.ok_or_else(schedules::not_found)?, app.now());
        schedules::check(deployment)?;
        deployment.sort_schedules();
        Ok(())
    };
    let rescheduled =
        app.store.reschedule_deployment(path.id, AutoScheduled::Future, apply).await.in_words(NOT_FOUND)?;
    void_runs::after(&app, &rescheduled).await?;
    Ok(StatusCode::NO_CONTENT)
}
