//! Connections of websockets that a gateway holds for functions that come and go.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{ApiKeyId, Timestamp, WorkPoolId};
use crate::filter::{EventFilter, LogFilter};

/// A websocket connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The gateway's id of the connection.
    pub id: String,
    /// When it was opened.
    pub opened: Timestamp,
    /// Whether its client has shown what the server asks for.
    pub is_authenticated: bool,
    /// The API key that its client has shown, where there are keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ApiKeyId>,
    /// Which websocket it is a connection of.
    #[serde(default)]
    pub socket: Socket,
    /// What its client has asked for, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
}

impl Connection {
    /// Takes a connection of `socket` whose client has not shown anything.
    pub fn new(id: &str, opened: Timestamp, socket: Socket) -> Self {
        Self { id: id.to_owned(), opened, is_authenticated: false, key: None, socket, subscription: None }
    }
}

/// A websocket of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Socket {
    /// `/events/in`: the client sends events.
    #[default]
    EventsIn,
    /// `/events/out`: the client is told of events.
    EventsOut,
    /// `/logs/out`: the client is told of log lines.
    LogsOut,
    /// `/task_runs/subscriptions/scheduled`: the client is handed background task runs.
    TaskRuns,
    /// `/work_pools/{name}/workers/connect`: the client is a worker of a pool.
    WorkerChannel {
        /// The pool's name.
        pool: String,
    },
}

impl Socket {
    /// Returns the websocket at `path`, as a client writes it behind the address of the API; none if there is none.
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/events/in" => Some(Self::EventsIn),
            "/events/out" => Some(Self::EventsOut),
            "/logs/out" => Some(Self::LogsOut),
            "/task_runs/subscriptions/scheduled" => Some(Self::TaskRuns),
            other => {
                let name = other.strip_prefix("/work_pools/")?.strip_suffix("/workers/connect")?;
                let pool = percent_decode_str(name).decode_utf8().ok()?.into_owned();
                (!name.is_empty() && !name.contains('/')).then_some(Self::WorkerChannel { pool })
            }
        }
    }
}

/// What the client of a connection has asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Subscription {
    /// To be told of the events that a filter selects.
    Events(EventSubscription),
    /// To be told of the log lines that a filter selects.
    Logs(LogSubscription),
    /// To be handed the runs of background tasks.
    TaskRuns(TaskWorkerSubscription),
    /// To be told of a work pool.
    Pool(PoolSubscription),
}

/// What a client wants to be told of events, and from when on each of them is told as it happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventSubscription {
    /// Which events.
    pub filter: Box<EventFilter>,
    /// When the client has asked.
    pub asked: Timestamp,
    /// Whether the client wants what happened before it has asked.
    pub backfill: bool,
    /// From when on events are told as they are received; a job tells of those that were received before.
    pub live_from: Timestamp,
}

/// What a client wants to be told of log lines, and from when on each of them is told as it comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogSubscription {
    /// Which lines.
    pub filter: Box<LogFilter>,
    /// When the client has asked.
    pub asked: Timestamp,
    /// From when on lines are told as they are received; a job tells of those that were received before.
    pub live_from: Timestamp,
}

/// Which background tasks a client works for, and what it has in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskWorkerSubscription {
    /// What the worker calls itself.
    pub client_id: String,
    /// The keys of its tasks.
    pub task_keys: Vec<String>,
    /// The run that was sent to the worker, until the worker acknowledges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed: Option<HandedTaskRun>,
}

/// A place in the queue of a task whose run was sent to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandedTaskRun {
    /// The place, as it was written when the run was handed.
    pub queued: super::QueuedTaskRun,
    /// The version of what was written.
    pub version: u64,
}

/// What a worker of a pool is told, and what its channel remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolSubscription {
    /// The pool.
    pub pool: WorkPoolId,
    /// Whether the worker may be asked to clean up.
    pub cleans_up: bool,
    /// The channel's session, which only its protocol reads.
    pub session: Value,
}

impl Subscription {
    /// Returns the subscription as it was asked for, without what its client has in hand and its channel remembers.
    #[must_use]
    pub fn without_hand(&self) -> Self {
        match self {
            Self::TaskRuns(worker) => Self::TaskRuns(TaskWorkerSubscription { handed: None, ..worker.clone() }),
            Self::Pool(pool) => Self::Pool(PoolSubscription { session: Value::Null, ..pool.clone() }),
            other => other.clone(),
        }
    }
}

/// What the ids of the relay's connections begin with; API Gateway's are in Base64, which has no dot.
pub const RELAYED: &str = "relay.";

/// Tells whether the relay holds the connection `id`, rather than API Gateway.
///
/// An id is made by what holds the connection, and never by its client.
pub fn is_relayed(id: &str) -> bool {
    id.starts_with(RELAYED)
}

/// Returns the id by which what was handed through a gateway's connection is known.
pub fn connection_uuid(id: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_websocket() {
        let channel = |pool: &str| Some(Socket::WorkerChannel { pool: pool.to_owned() });
        for (path, expected) in [
            ("/events/in", Some(Socket::EventsIn)),
            ("/logs/out", Some(Socket::LogsOut)),
            ("/work_pools/my%20pool/workers/connect", channel("my pool")),
            ("/work_pools/a%2Fb/workers/connect", channel("a/b")),
            ("/work_pools/a/b/workers/connect", None),
            ("/work_pools//workers/connect", None),
            ("/events/out/", None),
            ("", None),
        ] {
            assert_eq!(Socket::at(path), expected, "{path}");
        }
    }

    #[test]
    fn what_an_older_version_wrote_is_a_connection_for_events() {
        let before = r#"{"id":"c","opened":"2026-01-31T09:30:00Z","is_authenticated":true}"#;
        let read: Connection = serde_json::from_str(before).unwrap();
        assert_eq!((read.socket, read.subscription), (Socket::EventsIn, None));
    }
}
