//! `DELETE /deployments/{id}/schedules/{schedule_id}`: deletes a schedule of a deployment, and the runs that wait for it.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, InWords, Result,
    http::{Path, Route},
    model::Deployment,
    store::deployments::{self, AutoScheduled},
};

use super::SchedulePath;
use crate::{NOT_FOUND, schedules};

/// The contract's `delete_deployment_schedule`.
pub static ROUTE: Route =
    Route::delete("delete_deployment_schedule", "/deployments/{id}/schedules/{schedule_id}", || on_delete(delete))
        .accessing(deployments::DELETE_SCHEDULED_RUNS);

async fn delete(State(app): State<App>, Path(path): Path<SchedulePath>) -> Result<StatusCode> {
    let remove = |deployment: &mut Deployment| {
        let place = deployment.schedules.iter().position(|schedule| schedule.id == path.schedule_id);
        deployment.schedules.remove(place.ok_or_else(schedules::not_found)?);
        Ok(())
    };
    app.store.update_deployment_silently(path.id, remove).await.in_words(NOT_FOUND)?;
    app.store.delete_scheduled_runs(path.id, AutoScheduled::All).await?;
    Ok(StatusCode::NO_CONTENT)
}
