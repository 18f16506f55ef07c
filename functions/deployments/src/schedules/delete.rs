//! `DELETE /deployments/{id}/schedules/{schedule_id}`: deletes a schedule of a deployment, and the runs that wait for it.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Result,
    http::{Path, Route},
    store::{TableAccess, commit::retry_on_conflict, deployments::AutoScheduled, table::Index},
};

use super::SchedulePath;
use crate::{responses, schedules};

/// The contract's `delete_deployment_schedule`.
pub static ROUTE: Route =
    Route::delete("delete_deployment_schedule", "/deployments/{id}/schedules/{schedule_id}", || on_delete(delete))
        .accessing(TableAccess::WRITES.via(&[Index::WaitingOfDeployment]));

async fn delete(State(app): State<App>, Path(path): Path<SchedulePath>) -> Result<StatusCode> {
    retry_on_conflict(|| async {
        let found = app.store.deployment(path.id).await?.ok_or_else(responses::no_deployment)?;
        let mut deployment = found.record.clone();
        deployment.schedules.retain(|schedule| schedule.id != path.schedule_id);
        if deployment.schedules.len() == found.record.schedules.len() {
            return Err(schedules::not_found().into());
        }
        app.store.update_deployment_silently(&found, &deployment).await
    })
    .await?;
    app.store.delete_scheduled_runs(path.id, AutoScheduled::All).await?;
    Ok(StatusCode::NO_CONTENT)
}
