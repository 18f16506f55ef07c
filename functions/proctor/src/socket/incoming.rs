//! `/events/in`: a client that sends events.

use std::{pin::pin, task::Poll};

use axum::extract::ws::Message;
use common::{access::Caller, domain::access::Role, model::Event, socket::events_in};
use tokio::time::timeout;

use super::{Client, Connection, Received};

/// What sending events needs, as the operation that takes them over HTTP does.
pub(super) const REQUIRED: Role = Role::Worker;

/// How many events are written together at most.
const LARGEST_BATCH: usize = 200;

/// From how many bytes on a batch is written, however few events they are.
const LARGE_BATCH: usize = 1024 * 1024;

impl Client {
    /// Reads events until the client leaves or sends something else, and writes together what has arrived together.
    ///
    /// Nothing is kept for a client whose key is over by then; a silent one is asked for a sign of life, and its key is
    /// looked at too.
    pub(super) async fn take_events(mut self, caller: Caller) {
        loop {
            let (events, connection) = match timeout(self.app.settings.limits.ping_interval, self.socket.recv()).await {
                Ok(received) => self.gather(received).await,
                Err(_) => (Vec::new(), self.ping().await),
            };
            if self.may_go_on(caller, REQUIRED).await == Connection::Over {
                return;
            }
            if let Err(error) = events_in::keep(&self.app, events).await {
                tracing::error!(%error, "a websocket is dropped, because its events can't be kept");
                return;
            }
            self.meter.worked_off();
            if connection == Connection::Over {
                return;
            }
        }
    }

    /// Takes a message and all that have arrived behind it.
    ///
    /// A ping ends the batch: the client takes the pong, which the next read sends, for the confirmation that everything
    /// before its ping is safe.
    async fn gather(&mut self, first: Received) -> (Vec<Event>, Connection) {
        self.pinged = false;
        let (mut events, mut bytes, mut next) = (Vec::new(), 0, first);
        loop {
            match next {
                Some(Ok(Message::Text(message))) => match events_in::event(&message) {
                    Some(event) => {
                        bytes += message.len();
                        events.push(event);
                    }
                    None => return (events, Connection::Over),
                },
                Some(Ok(Message::Ping(_))) => return (events, Connection::Open),
                Some(Ok(Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return (events, Connection::Over),
            }
            if events.len() >= LARGEST_BATCH || bytes >= LARGE_BATCH {
                return (events, Connection::Open);
            }
            match self.arrived().await {
                Poll::Ready(received) => next = received,
                Poll::Pending => return (events, Connection::Open),
            }
        }
    }

    /// Returns what comes next if it is here already.
    async fn arrived(&mut self) -> Poll<Received> {
        let mut receive = pin!(self.socket.recv());
        std::future::poll_fn(|context| Poll::Ready(receive.as_mut().poll(context))).await
    }
}
