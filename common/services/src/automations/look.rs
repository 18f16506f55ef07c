//! What happens when a window ends: its timer is due.

use error::Result;
use store::{CommitError, Key, commit::retry_on_conflict};

use super::evaluation::end_window;
use crate::App;

/// Looks at the trigger whose state is under `key`.
pub(crate) async fn look(app: &App, key: &Key) -> Result<()> {
    retry_on_conflict(|| async {
        let Some(state) = app.store.trigger_state(key).await? else { return Ok(()) };
        let known = app.automations.known(&app.store).await?;
        let evaluated = known.automation(state.record.automation);
        let found = evaluated.and_then(|evaluated| Some((evaluated, evaluated.tree.node(state.record.trigger)?)));
        match found {
            Some((evaluated, node)) => end_window(app, evaluated, node, state, app.now()).await,
            // It is not evaluated any more, or has other triggers.
            None => app.store.forget_trigger_state(&state).await.map_err(CommitError::from),
        }
    })
    .await
}
