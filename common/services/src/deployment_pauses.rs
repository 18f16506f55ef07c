//! Pausing and resuming a deployment.

use domain::model::{Deployment, DeploymentId};
use error::Result;
use store::{Write, deployments::AutoScheduled};

use crate::{App, void_runs};

/// Pauses the deployment `id` and deletes the runs that wait for its schedules; writes `beside` together with the
/// pause.
///
/// # Errors
/// [`error::Error::NotFound`] if there is none.
pub async fn pause(app: &App, id: DeploymentId, beside: &[Write]) -> Result<()> {
    let change = set_paused(app, true);
    let paused = app.store.reschedule_deployment_with(id, AutoScheduled::All, change, beside).await?;
    void_runs::after(app, &paused).await
}

/// Lets the deployment `id` go on; writes `beside` together with that.
///
/// # Errors
/// [`error::Error::NotFound`] if there is none.
pub async fn resume(app: &App, id: DeploymentId, beside: &[Write]) -> Result<()> {
    app.store.update_deployment_silently_with(id, set_paused(app, false), beside).await
}

/// Returns what pauses a deployment or lets it go on; as Prefect, that is no event.
fn set_paused(app: &App, paused: bool) -> impl Fn(&mut Deployment) -> Result<()> {
    move |deployment| {
        if deployment.paused != paused {
            deployment.paused = paused;
            deployment.updated = app.now();
        }
        Ok(())
    }
}
