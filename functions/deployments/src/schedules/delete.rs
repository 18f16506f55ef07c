//! `DELETE /deployments/{id}/schedules/{schedule_id}`: deletes a schedule of a deployment, and the runs that wait for it.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, InWords, Result,
    http::{Path, Route},
    model::Deployment,
    store::deployments::{self, AutoScheduled},
    void_runs,
};

use super::SchedulePath;
use crate::{NOT_FOUND, schedules};

/// The contract's `delete_deployment_schedule`.
pub static ROUTE: Route =
    Route::delete("delete_deployment_schedule", "/deployments/{id}/schedules/{schedule_id}", || on_delete(delete))
        .accessing(deployments::DELETE_VOID_RUNS);

async fn delete(State(app): State<App>, Path(path): Path<SchedulePath>) -> Result<StatusCode> {
    let remove = |deployment: &mut Deployment| {
        let place = deployment.schedules.iter().position(|schedule| schedule.id == path.schedule_id);
        deployment.schedules.remove(place.ok_or_else(schedules::not_found)?);
        Ok(())
    };
    let rescheduled = app.store.reschedule_deployment(path.id, AutoScheduled::All, remove).await.in_words(NOT_FOUND)?;
    void_runs::after(&app, &rescheduled).await?;
    Ok(StatusCode::NO_CONTENT)
}
