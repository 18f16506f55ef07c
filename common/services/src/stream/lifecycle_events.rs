//! The events that tell of records that are made, changed and deleted: one file a kind of record makes them.

use super::{
    Failures, artifact_events, concurrency_limit_events, deployment_events, flow_events, variable_events,
    work_pool_events,
};
use domain::model::{Event, ReceivedEvent};
use error::Result;
use store::Item;

use crate::{App, event_ingestion};

/// Keeps the events of the changes in `written`.
pub(super) async fn emit(app: &App, written: &[(usize, &Item)], failures: &mut Failures) {
    let mut events: Vec<ReceivedEvent> = Vec::new();
    let mut places = Vec::new();
    for (place, item) in written {
        match events_of(item) {
            Ok(told) => {
                places.extend(told.iter().map(|_| *place));
                events.extend(told.into_iter().map(|event| event.receive(app.now())));
            }
            Err(error) => tracing::error!(key = item.key.pk, %error, "a record can't be read from the stream"),
        }
    }
    match artifact_events::events_of(&app.store, written).await {
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

fn events_of(item: &Item) -> Result<Vec<Event>> {
    let mut events = work_pool_events::events_of(item)?;
    events.extend(flow_events::event_of(item)?);
    events.extend(deployment_events::event_of(item)?);
    events.extend(concurrency_limit_events::event_of(item)?);
    events.extend(variable_events::event_of(item)?);
    Ok(events)
}
