//! `DELETE /deployments/{id}/schedules/{schedule_id}`: deletes a schedule of a deployment, and the runs that wait for it.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    Api, Result,
    http::{Path, Route},
    store::{Needs, commit::until_uncontended, deployments::AutoScheduled, table::Index},
};

use super::SchedulePath;
use crate::{answers, schedules};

/// The contract's `delete_deployment_schedule`.
pub static ROUTE: Route =
    Route::delete("delete_deployment_schedule", "/deployments/{id}/schedules/{schedule_id}", || on_delete(delete))
        .needing(Needs::WRITES.through(&[Index::WaitingOfDeployment]));

async fn delete(State(api): State<Api>, Path(path): Path<SchedulePath>) -> Result<StatusCode> {
    until_uncontended(|| async {
        let found = api.store.deployment(path.id).await?.ok_or_else(answers::no_deployment)?;
        let mut deployment = found.record.clone();
        deployment.schedules.retain(|schedule| schedule.id != path.schedule_id);
        if deployment.schedules.len() == found.record.schedules.len() {
            return Err(schedules::not_found().into());
        }
        api.store.update_deployment_silently(&found, &deployment).await
    })
    .await?;
    api.store.delete_scheduled_runs(path.id, AutoScheduled::All).await?;
    Ok(StatusCode::NO_CONTENT)
}
