//! What a server on one machine tells its clients at once: events and log lines, when they are durable.
//!
//! A function has no subscribers, and telling nobody costs nothing.

mod subscribers;
mod worker_channels;

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use domain::{
    filter::{EventFilter, LogFilter},
    json,
    model::{EventId, Log, ReceivedEvent},
};
use subscribers::Subscribers;
pub use subscribers::{Selects, Subscription};
pub use worker_channels::{News, PoolChange, WorkerChannel, WorkerChannels};

/// How many events are remembered, so that one that is consumed or sent again is told once.
const REMEMBERED: usize = 4_096;

/// Whom to tell of what.
#[derive(Debug, Default)]
pub struct Live {
    /// Who wants events.
    pub events: Arc<Subscribers<EventFilter>>,
    /// Who wants log lines.
    pub logs: Arc<Subscribers<LogFilter>>,
    /// The workers that are connected, whom it concerns what becomes of their pools.
    pub worker_channels: Arc<WorkerChannels>,
    told: Mutex<Told>,
    /// Changes when background task runs may have come into a queue.
    queued: watch::Sender<()>,
    /// The connections that are there through which background task runs are handed out.
    connections: Arc<Mutex<HashSet<Uuid>>>,
}

/// The events that were told of late.
#[derive(Debug, Default)]
pub(crate) struct Told {
    ids: HashSet<EventId>,
    in_order: VecDeque<EventId>,
}

impl Told {
    /// Tells whether an event was noted of late.
    pub(crate) fn has(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }

    /// Notes an event; says whether it is new.
    pub(crate) fn note(&mut self, id: EventId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.in_order.push_back(id);
        if self.in_order.len() > REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

impl Live {
    /// Tells those whose filters select them of `events`, which are durable; an event that was told is not told again.
    pub fn tell_events(&self, events: &[ReceivedEvent]) {
        if self.events.is_empty() {
            return;
        }
        for event in events {
            if self.told.lock().unwrap_or_else(PoisonError::into_inner).note(event.id) {
                self.events.tell(event.id.0, event, || message("event", serde_json::to_value(event)));
            }
        }
    }

    /// Wakes up who waits for background task runs.
    pub fn tell_of_queued_tasks(&self) {
        self.queued.send_replace(());
    }

    /// Returns what changes when background task runs may have come into a queue.
    pub fn queued_tasks(&self) -> watch::Receiver<()> {
        self.queued.subscribe()
    }

    /// Notes a connection, until the returned value is dropped.
    pub fn connect(&self) -> Connected {
        let connected = Connected { id: Uuid::new_v4(), connections: Arc::clone(&self.connections) };
        connected.all().insert(connected.id);
        connected
    }

    /// Tells whether a connection is there.
    pub fn is_connected(&self, connection: Uuid) -> bool {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).contains(&connection)
    }

    /// Tells those whose filters select them of `logs`, which are durable.
    pub fn tell_logs(&self, logs: &[Log]) {
        for log in logs {
            self.logs.tell(log.id.0, log, || log_text(log));
        }
    }
}

/// A connection that is there.
#[derive(Debug)]
pub struct Connected {
    id: Uuid,
    connections: Arc<Mutex<HashSet<Uuid>>>,
}

impl Connected {
    /// Returns the connection's id, by which what was handed through it is known.
    pub fn id(&self) -> Uuid {
        self.id
    }

    fn all(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.all().remove(&self.id);
    }
}

/// Writes the message that tells of a log line; nothing if it can't be written.
pub(crate) fn log_text(log: &Log) -> Option<String> {
    message("log", serde_json::to_value(log).map(without_times))
}

/// Leaves out when the line was received, as Prefect does, which tells of it before it writes it.
fn without_times(mut log: Value) -> Value {
    for name in ["created", "updated"] {
        log[name] = Value::Null;
    }
    log
}

/// Writes the message that tells of a record of this kind; nothing if it can't be written.
pub fn message(kind: &str, record: serde_json::Result<Value>) -> Option<String> {
    let text = record.and_then(|record| json::to_string(&json!({ "type": kind, kind: record })));
    text.inspect_err(|error| tracing::error!(%error, kind, "a record can't be told of")).ok()
}

impl Selects<ReceivedEvent> for EventFilter {
    fn selects(&self, event: &ReceivedEvent) -> bool {
        self.matches(event)
    }
}

impl Selects<Log> for LogFilter {
    fn selects(&self, log: &Log) -> bool {
        self.matches(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_remembered_and_what_is_long_past_forgotten() {
        let mut told = Told::default();
        let first = EventId::new();
        assert_eq!((told.note(first), told.note(first)), (true, false));
        for _ in 0..REMEMBERED {
            assert!(told.note(EventId::new()));
        }
        assert!(told.note(first));
        assert_eq!(told.ids.len(), told.in_order.len());
    }
}
