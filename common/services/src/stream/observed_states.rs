//! Which types and names of states there are in the histories of all runs, as states are written and deleted.

use std::{collections::HashMap, time::Duration};

use futures::future::join_all;

use super::{Change, Failures};
use domain::model::StateType;
use error::Result;
use store::observed_states::Sighting;

use crate::{
    App,
    jobs::queue::{Message, Queue},
};

/// When the index of states is asked once more: by the first time it may not have told of the latest.
const SECOND_LOOK: Duration = Duration::from_mins(1);

/// The states of one type and name in a batch, with the places of their changes.
#[derive(Debug, Default)]
struct Batch {
    places: Vec<usize>,
    seen: Vec<Sighting>,
    gone: Vec<Sighting>,
}

/// Lets the states count that were written, and has the job runner look for others where one that counted was deleted.
///
/// States of one type and name are noted together, so that however many runs enter a state, its item is written once a
/// batch.
pub(super) async fn follow(app: &App, queue: &Queue, changes: &[Change], failures: &mut Failures) {
    let mut batches: HashMap<(StateType, String), Batch> = HashMap::new();
    for (place, change) in changes.iter().enumerate() {
        let (seen, gone) = match (&change.before, &change.after) {
            (Some(before), None) => (Vec::new(), Sighting::of(before)),
            (before, Some(after)) => (Sighting::entered(before.as_ref(), after), Vec::new()),
            (None, None) => continue,
        };
        let told = seen.into_iter().map(|seen| (seen, false)).chain(gone.into_iter().map(|gone| (gone, true)));
        for (sighting, is_gone) in told {
            let batch = batches.entry((sighting.state_type, sighting.state_name.clone())).or_default();
            batch.places.push(place);
            if is_gone { batch.gone.push(sighting) } else { batch.seen.push(sighting) }
        }
    }
    let outcomes = batches.into_values().map(|batch| async move {
        let outcome = note(app, queue, &batch).await;
        (batch, outcome)
    });
    for (batch, outcome) in join_all(outcomes).await {
        if let Err(error) = outcome {
            failures.add_all(batch.places, &error);
        }
    }
}

async fn note(app: &App, queue: &Queue, batch: &Batch) -> Result<()> {
    app.store.observe(&batch.seen).await?;
    if let Some(gone) = batch.gone.first()
        && app.store.bounds_observed_state(&batch.gone).await?
    {
        let look = Message::ObservedState { state_type: gone.state_type, state_name: gone.state_name.clone() };
        queue.send_later(&[(look.clone(), Duration::ZERO), (look, SECOND_LOOK)]).await?;
    }
    Ok(())
}
