//! Events, log lines and changes of pools, told to the clients that have asked for them.
//!
//! The messages of one connection go out one after the other, in the order of the batch; those of different connections
//! at the same time, so that a slow one keeps no other waiting for long.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use serde_json::json;

use domain::{
    access::Role,
    interests::{self, Interest},
    model::{ApiKeyId, Log, PoolSubscription, ReceivedEvent, Subscription, Timestamp, WorkPoolId},
};
use error::Result;
use store::listeners::Listener;

use super::{Connections, backfill, cut, largest_message, may_be_told, send};
use crate::{
    App,
    live::{News, PoolChange, log_text, message},
};

/// To how many connections messages are on their way at once.
const AT_ONCE: usize = 64;

/// What a client must at least be to be told of events and log lines.
const READER: Role = Role::ReadOnly;

/// What a worker of a pool must at least be.
const WORKER: Role = Role::Worker;

/// What is told of one thing, by how large a message may be: it is written once, however many are told of it.
struct Texts<W>(BTreeMap<usize, Option<String>>, W);

impl<W: Fn(usize) -> Option<String>> Texts<W> {
    /// Writes it, when it is asked for, by `write`, which is told how large it may be.
    fn new(write: W) -> Self {
        Self(BTreeMap::new(), write)
    }

    /// Returns the text for a connection.
    fn of(&mut self, connection: &str) -> Option<String> {
        let largest = largest_message(connection);
        self.0.entry(largest).or_insert_with(|| (self.1)(largest)).clone()
    }
}

/// What is to be told, by connection.
#[derive(Debug, Default)]
struct Outbox(BTreeMap<String, (Option<ApiKeyId>, Vec<String>)>);

impl Outbox {
    fn add(&mut self, listener: &Listener, text: String) {
        let (_, texts) = self.0.entry(listener.connection.clone()).or_insert_with(|| (listener.key, Vec::new()));
        texts.push(text);
    }

    /// Sends what there is; the first failure of the table ends what goes through that connection.
    async fn send(self, app: &App) -> Result<()> {
        let sent = stream::iter(self.0).map(|(id, (key, texts))| async move {
            if !may_be_told(app, key, READER).await? {
                return cut(app, &id).await;
            }
            for text in texts {
                if !send(app, &id, &text).await? {
                    break;
                }
            }
            Ok(())
        });
        sent.buffer_unordered(AT_ONCE).collect::<Vec<Result<()>>>().await.into_iter().collect()
    }
}

/// Tells clients of `events`, which are durable, in this order.
///
/// An event that this process has told of is not told again.
///
/// # Errors
/// [`error::Error::Unavailable`] if the table can't be reached; all is to be told again then.
pub async fn tell_events(app: &App, events: &[ReceivedEvent]) -> Result<()> {
    let Some(connections) = app.connections.as_deref() else { return Ok(()) };
    if events.is_empty() || !app.settings.live.events || connections.heard.places(&app.store).await?.is_empty() {
        return Ok(());
    }
    let (mut outbox, now) = (Outbox::default(), app.now());
    let new: Vec<&ReceivedEvent> = {
        let told = connections.told();
        events.iter().filter(|event| !told.has(event.id)).collect()
    };
    for event in &new {
        let mut texts = Texts::new(|largest| event_text(event, largest));
        for listener in connections.heard.listeners(&app.store, &interests::of_event(event)).await?.iter() {
            let Subscription::Events(wanted) = &listener.subscription else { continue };
            if is_told_live(wanted.live_from, event.received, now)
                && wanted.filter.matches(event)
                && let Some(text) = texts.of(&listener.connection)
            {
                outbox.add(listener, text);
            }
        }
    }
    outbox.send(app).await?;
    let mut told = connections.told();
    for event in new {
        told.note(event.id);
    }
    Ok(())
}

/// Tells whether a client is told of what was `received` as it comes, rather than by the job that tells of what was
/// before.
fn is_told_live(live_from: Timestamp, received: Timestamp, now: Timestamp) -> bool {
    // What became durable so late that the job did not see it is told here as well.
    received >= live_from || now >= live_from.plus_seconds(backfill::VISIBLE_AFTER)
}

/// Writes the message that tells of an event; one of more than `largest` bytes goes without its payload, and says
/// so.
pub(super) fn event_text(event: &ReceivedEvent, largest: usize) -> Option<String> {
    let text = message("event", serde_json::to_value(event))?;
    if text.len() <= largest {
        return Some(text);
    }
    let bytes = text.len();
    tracing::warn!(id = %event.id, bytes, "an event is told without its payload, for it is too large for a websocket");
    let why = format!("this event has {bytes} bytes, and a websocket takes {largest}; POST /events/filter has it");
    let mut short = serde_json::to_value(event).ok()?;
    short["payload"] = json!({ "proctor.omitted": why });
    message("event", Ok(short))
}

/// Tells clients of `logs`, which are durable, in this order.
///
/// # Errors
/// [`error::Error::Unavailable`] if the table can't be reached; all is to be told again then.
pub async fn tell_logs(app: &App, logs: &[Log]) -> Result<()> {
    let Some(connections) = app.connections.as_deref() else { return Ok(()) };
    if logs.is_empty() || !app.settings.live.logs || connections.heard.places(&app.store).await?.is_empty() {
        return Ok(());
    }
    let (mut outbox, now) = (Outbox::default(), app.now());
    for log in logs {
        let mut texts = Texts::new(|largest| log_line_text(log, largest));
        for listener in connections.heard.listeners(&app.store, &interests::of_log(log)).await?.iter() {
            let Subscription::Logs(wanted) = &listener.subscription else { continue };
            if is_told_live(wanted.live_from, log.created, now)
                && wanted.filter.matches(log)
                && let Some(text) = texts.of(&listener.connection)
            {
                outbox.add(listener, text);
            }
        }
    }
    outbox.send(app).await
}

/// Writes the message that tells of a line; of one that has more than `largest` bytes, as much as fits.
pub(super) fn log_line_text(log: &Log, largest: usize) -> Option<String> {
    let text = log_text(log)?;
    if text.len() <= largest {
        return Some(text);
    }
    tracing::warn!(id = %log.id, bytes = text.len(), "a log line is cut, for it is too large for a websocket");
    // A character takes six bytes at most where JSON escapes it.
    let end = log.message.floor_char_boundary(largest / 8);
    let whole = log.message.len();
    let message = format!("{}… (cut: the line has {whole} bytes, POST /logs/filter has it)", &log.message[..end]);
    log_text(&Log { message, ..log.clone() }).filter(|text| text.len() <= largest)
}

/// Tells the workers that are connected what has become of their pools.
///
/// # Errors
/// [`error::Error::Unavailable`] if the table can't be reached.
pub async fn tell_of_pools(app: &App, changes: &[(WorkPoolId, News)]) -> Result<()> {
    let Some(connections) = app.connections.as_deref() else { return Ok(()) };
    if changes.is_empty() || connections.heard.places(&app.store).await?.is_empty() {
        return Ok(());
    }
    for (pool, news) in gathered(changes) {
        let listeners = connections.heard.listeners(&app.store, &[Interest::in_pool(pool)]).await?;
        let concerned = listeners.iter().filter(|listener| match &listener.subscription {
            Subscription::Pool(PoolSubscription { cleans_up, .. }) => news.pool.is_some() || *cleans_up,
            _ => false,
        });
        let concerned: Vec<Listener> = concerned.cloned().collect();
        let told = stream::iter(concerned).map(|listener| tell_worker(app, connections, listener, news));
        told.buffer_unordered(AT_ONCE).collect::<Vec<Result<()>>>().await.into_iter().collect::<Result<()>>()?;
    }
    Ok(())
}

/// Puts together what is told of one pool: of several changes, the last counts.
fn gathered(changes: &[(WorkPoolId, News)]) -> BTreeMap<WorkPoolId, News> {
    let mut gathered: BTreeMap<WorkPoolId, News> = BTreeMap::new();
    for (pool, news) in changes {
        let all = gathered.entry(*pool).or_default();
        all.cleanup |= news.cleanup;
        if all.pool != Some(PoolChange::Deleted) {
            all.pool = news.pool.or(all.pool);
        }
    }
    gathered
}

async fn tell_worker(app: &App, connections: &Connections, listener: Listener, news: News) -> Result<()> {
    if !may_be_told(app, listener.key, WORKER).await? {
        return cut(app, &listener.connection).await;
    }
    match app.store.connection(&listener.connection).await? {
        Some(found) => connections.channels.tell(app, found, news).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{super::LARGEST_MESSAGE, *};

    #[test]
    fn what_is_too_large_for_a_websocket_is_told_as_far_as_it_fits() {
        let event: ReceivedEvent = serde_json::from_value(json!({
            "occurred": "2026-01-31T09:30:00Z", "event": "a", "resource": {"prefect.resource.id": "r"},
            "id": uuid::Uuid::nil(), "received": "2026-01-31T09:30:01Z",
            "payload": {"text": "x".repeat(LARGEST_MESSAGE)},
        }))
        .unwrap();
        let text = event_text(&event, LARGEST_MESSAGE).unwrap();
        let told: Value = serde_json::from_str(&text).unwrap();
        assert!(text.len() <= LARGEST_MESSAGE && told["event"]["resource"]["prefect.resource.id"] == "r");
        assert!(told["event"]["payload"]["proctor.omitted"].as_str().unwrap().contains("/events/filter"));
        let whole = event_text(&event, largest_message("relay.0")).unwrap();
        assert!(whole.len() > LARGEST_MESSAGE && !whole.contains("proctor.omitted"), "the relay takes it");
        let log: Log = serde_json::from_value(json!({
            "id": uuid::Uuid::nil(), "created": "2026-01-31T09:30:00Z", "updated": "2026-01-31T09:30:00Z",
            "name": "a", "level": 20,
            "message": "\u{1}".repeat(2 * LARGEST_MESSAGE), "timestamp": "2026-01-31T09:30:00Z",
        }))
        .unwrap();
        let text = log_line_text(&log, LARGEST_MESSAGE).unwrap();
        assert!(text.len() <= LARGEST_MESSAGE && text.contains("/logs/filter"));
    }

    #[test]
    fn of_the_changes_of_a_pool_the_last_is_told() {
        let pool = WorkPoolId::new();
        let changed = |version| (pool, News { pool: Some(PoolChange::Changed(version)), cleanup: false });
        let cleanup = (pool, News { pool: None, cleanup: true });
        let last = gathered(&[changed(2), cleanup, changed(3)]);
        assert_eq!(last[&pool], News { pool: Some(PoolChange::Changed(3)), cleanup: true });
    }
}
