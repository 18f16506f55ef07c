//! What automations do when they were triggered: one file an action.

use domain::model::FiringId;
use error::Result;

use crate::App;

/// Carries out an action of a firing.
///
/// # Errors
/// Those of the store. That the action can't be carried out is no error: an event tells of it.
pub(crate) async fn carry_out(app: &App, firing: FiringId, index: usize) -> Result<()> {
    let Some(firing) = app.store.firing(firing).await? else { return Ok(()) };
    let actions = firing.actions();
    let Some(action) = actions.get(index) else { return Ok(()) };
    tracing::info!(automation = %firing.automation.id, invocation = %action.invocation(), "an action is not carried out yet");
    Ok(())
}
