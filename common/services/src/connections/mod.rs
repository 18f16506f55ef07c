//! What functions tell clients whose websockets a gateway holds, between one message and the next.
//!
//! A connection is an item of the table, with what its client has asked for. Who has something to tell finds the
//! connections in the table ([`domain::interests`]), and posts to the gateway. The stream's consumer does so for what
//! was written, the job runner for what happened before, and the functions of the websockets answer.
//!
//! On one machine there is no gateway: the server holds its connections itself ([`crate::live`]).

pub mod backfill;
mod ending;
mod listening;
mod sending;
pub mod task_runs;
pub mod telling;

use std::{
    fmt::Debug,
    sync::{Mutex, PoisonError},
};

use futures::future::BoxFuture;

use domain::{
    access::Role,
    model::{ApiKeyId, Connection},
};
use error::Result;
use store::{TableAccess, Versioned};

use crate::{
    App,
    live::{News, Told},
};
use listening::Heard;

pub use ending::end;
pub use sending::{LARGEST_MESSAGE, LARGEST_RELAYED_MESSAGE, cut, largest_message, send};

/// What the stream's consumer, the job runner and the schedule do with the table to tell clients.
pub const ACCESS: TableAccess = TableAccess::WRITES;

/// Why a message did not reach its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The connection is over.
    Gone,
    /// The gateway did not take the message, and may take it later.
    Refused(String),
}

/// What holds connections, and is called to send through them.
pub trait Gateway: Debug + Send + Sync {
    /// Sends a text through the connection `id`.
    fn post<'g>(&'g self, id: &'g str, text: &'g str) -> BoxFuture<'g, Result<(), Undelivered>>;

    /// Cuts the connection `id`, which may be over.
    fn cut<'g>(&'g self, id: &'g str) -> BoxFuture<'g, Result<()>>;

    /// Tells whether the gateway holds the connection `id`.
    fn holds<'g>(&'g self, id: &'g str) -> BoxFuture<'g, Result<bool>>;
}

/// What speaks the protocol of workers' channels, which this crate does not know.
pub trait Channels: Debug + Send + Sync {
    /// Tells the worker of a connection what has become of its pool, or that it may be asked to clean up.
    fn tell<'c>(&'c self, app: &'c App, connection: Versioned<Connection>, news: News) -> BoxFuture<'c, Result<()>>;
}

/// How a process reaches the clients of a gateway.
#[derive(Debug)]
pub struct Connections {
    gateway: Box<dyn Gateway>,
    channels: Box<dyn Channels>,
    /// Who listens, as far as this process has read it lately.
    heard: Heard,
    /// The events that this process has told of: a batch of the stream may come again.
    told: Mutex<Told>,
}

impl Connections {
    /// Reaches clients through `gateway`, and speaks with workers by `channels`.
    pub fn new(gateway: Box<dyn Gateway>, channels: Box<dyn Channels>) -> Self {
        Self { gateway, channels, heard: Heard::default(), told: Mutex::default() }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether a client that has shown `key` may still be told what needs the role `required`.
///
/// Who has shown no key was let in where the server asks for none.
async fn may_be_told(app: &App, key: Option<ApiKeyId>, required: Role) -> Result<bool> {
    match key {
        None => Ok(true),
        Some(key) => Ok(app.gate().caller_of_id(key).await?.is_some_and(|caller| caller.role >= required)),
    }
}
