//! Notes of when the transitions of deleted flow runs occurred.
//!
//! The events of transitions are found by the states of their run, and are kept when the run is deleted, as in Prefect.

use super::{Change, Failures};
use store::{Item, table::Subject};

use crate::App;

/// Leaves notes of the states that went with what `changes` have removed.
pub(super) async fn leave(app: &App, changes: &[Change], failures: &mut Failures) {
    let (places, removed): (Vec<usize>, Vec<&Item>) =
        changes.iter().enumerate().filter_map(|(place, change)| Some((place, removed(change)?))).unzip();
    if removed.is_empty() {
        return;
    }
    if let Err(error) = app.store.note_transitions(&removed, app.settings.event_retention, app.now()).await {
        failures.add_all(places, &error);
    }
}

/// Returns the flow run, or the state of one, that a change has removed.
fn removed(change: &Change) -> Option<&Item> {
    let tells_states = matches!(Subject::of(&change.key), Some(Subject::FlowRun(_) | Subject::FlowRunState));
    change.before.as_ref().filter(|_| change.after.is_none() && tells_states)
}
