//! The intake of events: what clients send, over HTTP or a websocket, becomes durable here.

use crate::{
    api::Api,
    error::Result,
    model::{Event, ReceivedEvent},
};

/// Keeps `events` as received now.
///
/// An event over the configured size is dropped with a warning, as upstream drops it; one whose id is taken is the
/// same event sent again, and changes nothing.
///
/// # Errors
/// Those of [`crate::Store::add_events`]; the whole batch may be sent again.
pub async fn receive(api: &Api, events: Vec<Event>) -> Result<()> {
    let mut received = Vec::with_capacity(events.len());
    for event in events {
        let event = event.receive(api.now());
        let bytes = serde_json::to_vec(&event)?.len();
        if bytes > api.settings.maximum_event_bytes {
            tracing::warn!(id = %event.id, event = event.event, bytes, "an event is too large and dropped");
        } else {
            received.push(event);
        }
    }
    keep(api, &received).await
}

/// Keeps events for as long as the settings say.
pub async fn keep(api: &Api, events: &[ReceivedEvent]) -> Result<()> {
    api.store.add_events(events, api.settings.event_retention).await
}
