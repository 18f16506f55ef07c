//! What waits for a client, and how its connection is told to end.
//!
//! A function that tells a client of something does not wait until the client has read it. So much of it may wait, of
//! one client and of all: a client that is behind is cut, and comes again; where all together fill the memory, the
//! function is told to try again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::extract::ws::Utf8Bytes;
use common::connections::LARGEST_RELAYED_MESSAGE;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::event::Request;

/// How many bytes a permit stands for; each message takes one at least, so that many small ones are bounded as well.
const UNIT: usize = 1024;

/// How many permits there are for what waits for one client: those of two messages of the largest size.
const OF_ONE: usize = 2 * (LARGEST_RELAYED_MESSAGE / UNIT + 1);

/// Why a connection ends, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The code of the close frame; none if there is nobody to tell.
    pub(crate) code: Option<u16>,
    /// The reason beside it.
    pub(crate) reason: &'static str,
}

impl End {
    /// The client has left, or can't be reached.
    pub(crate) const GONE: Self = Self { code: None, reason: "the client is gone" };
    /// The client sent what is against the protocol of websockets.
    pub(crate) const PROTOCOL: Self = Self::with(1002, "this is against the protocol");
    /// The client sent what is no text.
    pub(crate) const NO_TEXT: Self = Self::with(1003, "messages are text");
    /// The client sent text that is not in UTF-8.
    pub(crate) const NO_UTF8: Self = Self::with(1007, "text must be in UTF-8");
    /// The client is not let in, or does not say who it is.
    pub(crate) const POLICY: Self = Self::with(1008, "authentication failed");
    /// The client sent more than a function takes.
    pub(crate) const TOO_LARGE: Self = Self::with(1009, "a message may have 6 MB");
    /// A function has failed.
    pub(crate) const FAILED: Self = Self::with(1011, "the message could not be taken");
    /// The relay ends.
    pub(crate) const RESTART: Self = Self::with(1012, "the relay restarts");
    /// The client reads too slowly, or there is too much to do.
    pub(crate) const LATER: Self = Self::with(1013, "try again later");
    /// A function has cut the connection.
    pub(crate) const CUT: Self = Self::with(1013, "the server has ended the connection");

    const fn with(code: u16, reason: &'static str) -> Self {
        Self { code: Some(code), reason }
    }
}

/// What goes out through a connection, in this order.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A message, which takes room until it is sent.
    Text(Utf8Bytes, [OwnedSemaphorePermit; 2]),
    /// A ping.
    Ping,
    /// The end.
    End(End),
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The client is too far behind, and its connection ends.
    Behind,
    /// There is no room for more, of all clients together.
    Full,
    /// The connection is over.
    Over,
}

/// What waits for one client.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// The request that opened the connection.
    pub(crate) request: Request,
    letters: mpsc::UnboundedSender<Letter>,
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
    ending: watch::Sender<Option<End>>,
}

impl Outbox {
    /// Takes a message that the client is to be sent.
    ///
    /// # Errors
    /// A [`Refusal`]; the message is not sent then.
    pub(crate) fn post(&self, text: Utf8Bytes) -> Result<(), Refusal> {
        let units = u32::try_from(text.len() / UNIT + 1).map_err(|_| Refusal::Full)?;
        let Ok(own) = self.own.clone().try_acquire_many_owned(units) else {
            self.end_now(End::LATER);
            return Err(Refusal::Behind);
        };
        let Ok(all) = self.all.clone().try_acquire_many_owned(units) else { return Err(Refusal::Full) };
        self.letters.send(Letter::Text(text, [own, all])).map_err(|_| Refusal::Over)
    }

    /// Sends a ping.
    pub(crate) fn ping(&self) {
        // Who does not receive any more is at the end.
        let _ = self.letters.send(Letter::Ping);
    }

    /// Ends the connection once all is sent that waits.
    pub(crate) fn end(&self, end: End) {
        let _ = self.letters.send(Letter::End(end));
    }

    /// Ends the connection whatever waits.
    fn end_now(&self, end: End) {
        self.ending.send_if_modified(|ending| ending.is_none() && ending.replace(end).is_none());
    }
}

/// What a connection's own task has of its outbox.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// What goes out.
    pub(crate) letters: mpsc::UnboundedReceiver<Letter>,
    /// Says that the connection ends whatever waits.
    pub(crate) ending: watch::Receiver<Option<End>>,
}

/// The connections that there are, by their ids.
#[derive(Debug)]
pub(crate) struct Outboxes {
    all: Mutex<HashMap<String, Arc<Outbox>>>,
    room: Arc<Semaphore>,
}

impl Outboxes {
    /// Holds connections, with so many MB that wait for all clients together.
    pub(crate) fn new(megabytes: u16) -> Self {
        Self { all: Mutex::default(), room: Arc::new(Semaphore::new(usize::from(megabytes) * 1024 * 1024 / UNIT)) }
    }

    /// Adds a connection.
    pub(crate) fn open(&self, id: &str, request: Request) -> (Arc<Outbox>, Inbox) {
        let ((letters, inbox), ending) = (mpsc::unbounded_channel(), watch::channel(None).0);
        let inbox = Inbox { letters: inbox, ending: ending.subscribe() };
        let own = Arc::new(Semaphore::new(OF_ONE));
        let outbox = Arc::new(Outbox { request, letters, own, all: self.room.clone(), ending });
        self.known().insert(id.to_owned(), outbox.clone());
        (outbox, inbox)
    }

    /// Returns the connection `id`.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Outbox>> {
        self.known().get(id).cloned()
    }

    /// Takes the connection `id` out, so that nothing more is posted to it.
    pub(crate) fn close(&self, id: &str) -> Option<Arc<Outbox>> {
        self.known().remove(id)
    }

    /// Ends all connections.
    pub(crate) fn end_all(&self, end: &End) {
        for outbox in self.known().values() {
            outbox.end(end.clone());
        }
    }

    /// Returns how many connections there are.
    pub(crate) fn count(&self) -> usize {
        self.known().len()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Outbox>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
