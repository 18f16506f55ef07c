//! Deletes the runs that a change of a deployment has made void.
//!
//! The change is written first, and names them. The request goes on to delete them, so that they are gone when it is
//! answered. Should it fail in that, the change is made all the same, so the request has succeeded: the stream's consumer
//! leaves a message for the same deletion, whatever became of the request.

use domain::model::Deployment;
use error::Result;
use store::deployments::Rescheduled;

use crate::App;

/// Deletes the void runs of a `deployment` whose change is written; what can't be deleted is left to the job runner.
pub async fn after_change(app: &App, deployment: &Deployment) {
    if let Err(error) = delete(app, deployment).await {
        tracing::warn!(%error, deployment = %deployment.id, "the runs of a changed deployment are deleted later");
    }
}

/// Deletes the void runs of a deployment that was to be changed.
///
/// # Errors
/// Those of the store, if nothing was to be changed and so nothing is written that the deletion would follow from.
pub async fn after(app: &App, rescheduled: &Rescheduled) -> Result<()> {
    if rescheduled.is_written {
        after_change(app, &rescheduled.deployment).await;
        return Ok(());
    }
    delete(app, &rescheduled.deployment).await
}

async fn delete(app: &App, deployment: &Deployment) -> Result<()> {
    match deployment.void_runs {
        Some(void) => app.store.delete_void_runs(deployment.id, void).await,
        None => Ok(()),
    }
}
