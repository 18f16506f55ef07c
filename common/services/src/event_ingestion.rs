//! The intake of events: what clients send, over HTTP or a websocket, becomes durable here.

use domain::model::{Event, ReceivedEvent};
use error::Result;
use store::{TableAccess, events};

use crate::App;

/// What [`receive`] and [`keep`] touch.
pub const RECEIVE: TableAccess = events::ADD;

/// Keeps `events` as received now.
///
/// An event over the configured size is dropped with a warning, as Prefect drops it; one whose id is taken is the
/// same event sent again, and changes nothing.
///
/// # Errors
/// Those of [`store::Store::add_events`]; the whole batch may be sent again.
pub async fn receive(app: &App, events: Vec<Event>) -> Result<()> {
    let mut received = Vec::with_capacity(events.len());
    for event in events {
        let event = event.receive(app.now());
        let bytes = serde_json::to_vec(&event)?.len();
        if bytes > app.settings.maximum_event_bytes {
            tracing::warn!(id = %event.id, event = event.event, bytes, "an event is too large and dropped");
        } else {
            received.push(event);
        }
    }
    keep(app, &received).await
}

/// Keeps events for as long as the settings say, and tells of them.
pub async fn keep(app: &App, events: &[ReceivedEvent]) -> Result<()> {
    app.store.add_events(events, app.settings.event_retention).await?;
    app.live.tell_events(events);
    Ok(())
}

/// Keeps the events of transitions that flow runs have made, as [`keep`] does with others.
pub(crate) async fn keep_transitions(app: &App, events: &[ReceivedEvent]) -> Result<()> {
    app.store.add_transitions(events, app.settings.event_retention).await?;
    app.live.tell_events(events);
    Ok(())
}
