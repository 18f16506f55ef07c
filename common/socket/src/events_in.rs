//! `/events/in`: after the handshake every text message is one event (Prefect's `stream_events_in`).

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

use contract::{self, Operation};
use domain::model::Event;
use error::{Error, Result};
use services::{App, event_ingestion};

/// Reads a message; `None` if it isn't an event, which ends the connection.
///
/// It is validated as an event of `POST /events` is.
pub fn event(message: &str) -> Option<Event> {
    let operation = Operation::find("POST", "/events")?;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let body = format!("[{message}]");
    let request = contract::Request { path: &[], query: "", headers: &headers, body: body.as_bytes() };
    let events: Vec<Event> = serde_json::from_value(operation.validate(&request).ok()?.body).ok()?;
    // A message such as `{…},{…}` is no event, though it makes a list of them.
    <[Event; 1]>::try_from(events).ok().map(|[event]| event)
}

/// How often a batch is tried while the store is unavailable.
const ATTEMPTS: u32 = 6;

/// Makes `events` durable; only then may anything be answered that tells the client that they arrived.
///
/// One that is larger than the store takes is dropped with a warning: sent again it would be as large.
///
/// # Errors
/// [`Error::Unavailable`] if the store stays so; the connection is to be dropped, so that the client sends again what
/// it has no confirmation for.
pub async fn keep(app: &App, events: Vec<Event>) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    match with_patience(app, &events).await {
        Err(Error::TooLarge(_)) => {}
        outcome => return outcome,
    }
    for event in events {
        match with_patience(app, std::slice::from_ref(&event)).await {
            Err(Error::TooLarge(message)) => tracing::warn!(id = %event.id, message, "an event is dropped"),
            outcome => outcome?,
        }
    }
    Ok(())
}

async fn with_patience(app: &App, events: &[Event]) -> Result<()> {
    for attempt in 0..ATTEMPTS {
        match event_ingestion::receive(app, events.to_vec()).await {
            Err(Error::Unavailable(message)) if attempt + 1 < ATTEMPTS => {
                tracing::warn!(message, "events wait for the store");
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
            }
            outcome => return outcome,
        }
    }
    Err(Error::Unavailable("the store takes no events".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"occurred":"2026-01-31T09:30:00Z","event":"a","resource":{"prefect.resource.id":"r"},
        "id":"b9f77e07-3cf7-4653-b811-79fdb8d2f369"}"#;

    #[test]
    fn a_message_is_exactly_one_event() {
        assert_eq!(event(GOOD).unwrap().event, "a");
        for message in ["", "not json", "{}", "[]", &format!("{GOOD},{GOOD}"), &GOOD.replace("b9f7", "x")] {
            assert_eq!(event(message), None, "{message}");
        }
    }
}
