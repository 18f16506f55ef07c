//! The events that tell of records that are made, changed and deleted: one file a kind of record makes them.

use super::{Failures, Written, artifact_events, concurrency_limit_events, flow_events, work_pool_events};
use domain::model::{Deployment, Event, ReceivedEvent, Variable};
use error::Result;
use store::{
    Item,
    entity::{Tombstone, events_of_change},
    table::Subject,
};

use crate::{App, event_ingestion};

/// Keeps the events of the changes in `written`.
pub(super) async fn emit(app: &App, written: &[(usize, Written<'_>)], failures: &mut Failures) {
    let mut events: Vec<ReceivedEvent> = Vec::new();
    let mut places = Vec::new();
    for (place, written) in written {
        match events_of(*written) {
            Ok(told) => {
                places.extend(told.iter().map(|_| *place));
                events.extend(told.into_iter().map(|event| event.receive(app.now())));
            }
            Err(error) => tracing::error!(key = written.after.key.pk, %error, "a record can't be read from the stream"),
        }
    }
    let items: Vec<(usize, &Item)> = written.iter().map(|(place, written)| (*place, written.after)).collect();
    match artifact_events::events_of(&app.store, &items).await {
        Ok(told) => {
            places.extend(told.iter().map(|(place, _)| *place));
            events.extend(told.into_iter().map(|(_, event)| event.receive(app.now())));
        }
        Err(error) => failures.add_all(written.iter().map(|(place, _)| *place), &error),
    }
    if let Err(error) = event_ingestion::keep(app, &events).await {
        failures.add_all(places, &error);
    }
}

fn events_of(Written { before, after: item }: Written<'_>) -> Result<Vec<Event>> {
    match Subject::of(&item.key) {
        Some(Subject::Deployment(_)) => return events_of_change::<Deployment>(before, item),
        Some(Subject::Variable(_)) => return events_of_change::<Variable>(before, item),
        Some(Subject::Tombstone) => return Ok(item.record::<Tombstone>()?.events),
        _ => {}
    }
    let mut events = work_pool_events::events_of(item)?;
    events.extend(flow_events::event_of(item)?);
    events.extend(concurrency_limit_events::event_of(item)?);
    Ok(events)
}
