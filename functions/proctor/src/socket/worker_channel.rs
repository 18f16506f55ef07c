//! `/work_pools/{name}/workers/connect`: a worker's channel.

use std::{convert::Infallible, time::Duration};

use axum::extract::ws::Message;
use common::{
    Error,
    access::Caller,
    domain::access::Role,
    live::{News, WorkerChannel},
    socket::worker_channel::{self, CloseReason, Occasion, Opened, Reaction, Session},
};
use tokio::time::{Instant, interval_at, sleep_until, timeout_at};

use super::{Client, Connection, Manner, Received};

/// What being a worker needs.
pub(super) const REQUIRED: Role = Role::Worker;

/// A worker always comes with the subprotocol, and goes by the reason for which its channel closes.
pub(super) const MANNER: Manner =
    Manner { knows_older_clients: false, refusal: |why| CloseReason::of_refusal(why).text() };

/// How long changes of a pool are gathered before its workers are told of them.
const GATHERED: Duration = Duration::from_millis(50);

/// How long a worker that cleans up waits until cleanups are looked for, though nobody said that there is one: another server
/// may have left it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What a worker is to be told of its pool, and when.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    occasion: Occasion,
}

impl Due {
    /// Has the worker told soon, or when it is to be told anyway, for the latest reason.
    fn after(before: Option<Self>, occasion: Occasion) -> Self {
        let at = before.map_or_else(|| Instant::now() + GATHERED, |before| before.at);
        Self { at, occasion }
    }
}

/// How a channel ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The worker has left, or was told why it has to.
    Silent,
    /// The worker is told this.
    For(CloseReason),
}

impl Client {
    /// Speaks with a worker of the pool called `pool` until it leaves.
    pub(super) async fn serve_channel(mut self, caller: Caller, pool: &str) {
        let opened = match self.hello().await {
            Some(Ok(message)) => worker_channel::open(&self.app, caller, pool, &message).await,
            Some(Err(reason)) => Err(reason),
            None => return,
        };
        self.meter.worked_off();
        match opened {
            Ok(opened) => self.go_on(caller, opened).await,
            Err(reason) => self.close_for(reason).await,
        }
    }

    /// Waits for a worker's first frame; returns how the channel closes if it is none, and nothing if the connection is over.
    async fn hello(&mut self) -> Option<Result<String, CloseReason>> {
        let end = Instant::now() + self.app.settings.limits.handshake_timeout;
        loop {
            match timeout_at(end, self.socket.recv()).await {
                Ok(Some(Ok(Message::Text(message)))) => return Some(Ok(message.as_str().to_owned())),
                // Prefect takes it for a fault of its own.
                Ok(Some(Ok(Message::Binary(_)))) => return Some(Err(CloseReason::TransientServerError)),
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(_) => return None,
                Err(_) => return Some(Err(CloseReason::ProtocolError)),
            }
        }
    }

    async fn go_on(&mut self, caller: Caller, opened: Opened) {
        let Opened { mut session, channel, ready, then } = opened;
        let Err(end) = self.converse(caller, &mut session, &channel, ready, then).await;
        // What was this worker's turn is another one's, before it has taken leave.
        drop(channel);
        if let End::For(reason) = end {
            self.close_for(reason).await;
        }
    }

    /// Speaks with a worker whose channel is ready, and returns why it ends.
    async fn converse(
        &mut self,
        caller: Caller,
        session: &mut Session,
        channel: &WorkerChannel,
        ready: String,
        then: Option<Occasion>,
    ) -> Result<Infallible, End> {
        self.tell_worker(ready).await?;
        let every = self.app.settings.limits.ping_interval;
        let mut ticks = interval_at(Instant::now() + every, every);
        let mut look = Instant::now();
        let mut due = then.map(|occasion| Due::after(None, occasion));
        loop {
            tokio::select! {
                received = self.socket.recv() => {
                    if self.take(caller, session, received).await? == Reaction::Reconcile {
                        due = Some(Due::after(due, Occasion::Heartbeat));
                    }
                }
                News { pool, cleanup } = channel.news() => {
                    if pool.is_some_and(|change| session.is_news(change)) {
                        due = Some(Due::after(due, Occasion::Updated));
                    }
                    if cleanup {
                        look = Instant::now();
                    }
                }
                () = sleep_until(due.map_or(look, |due| due.at)), if due.is_some() => {
                    let occasion = due.take().map_or(Occasion::Updated, |due| due.occasion);
                    let snapshot = session.snapshot(&self.app, occasion).await.map_err(End::For)?;
                    self.tell_worker(snapshot).await?;
                }
                () = sleep_until(look), if session.cleans_up() => {
                    look = Instant::now() + LOOK_AGAIN;
                    self.ask_to_clean_up(caller, session, channel).await?;
                }
                _ = ticks.tick() => {
                    self.is_in(caller).await?;
                    if self.ping().await == Connection::Over {
                        return Err(End::Silent);
                    }
                }
            }
        }
    }

    /// Takes what the worker sent, and answers it; returns what else is to be done.
    async fn take(&mut self, caller: Caller, session: &mut Session, received: Received) -> Result<Reaction, End> {
        let connection = self.heard(received.as_ref());
        let text = match received {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return Err(End::For(CloseReason::TransientServerError)),
            _ if connection == Connection::Over => return Err(End::Silent),
            _ => return Ok(Reaction::Nothing),
        };
        self.is_in(caller).await?;
        match session.receive(&self.app, &text).await {
            Reaction::Reply(text) => self.tell_worker(text).await.map(|()| Reaction::Nothing),
            Reaction::Close(reason) => Err(End::For(reason)),
            reaction => Ok(reaction),
        }
    }

    /// Asks the worker for as many cleanups as there are and it takes.
    async fn ask_to_clean_up(
        &mut self,
        caller: Caller,
        session: &mut Session,
        channel: &WorkerChannel,
    ) -> Result<(), End> {
        let failed = |error: Error| {
            tracing::error!(%error, "a worker's channel is dropped, because cleanups can't be read");
            End::For(CloseReason::TransientServerError)
        };
        while let Some((message, text)) = session.next_cleanup(&self.app, Some(channel)).await.map_err(failed)? {
            let asked = match self.is_in(caller).await {
                Ok(()) => self.tell_worker(text).await,
                Err(end) => Err(end),
            };
            if let Err(end) = asked {
                channel.set_free(false);
                session.give_back(&self.app, &message).await;
                return Err(end);
            }
        }
        Ok(())
    }

    /// Sees to it that the worker's key still holds.
    async fn is_in(&mut self, caller: Caller) -> Result<(), End> {
        match self.may_go_on(caller, REQUIRED).await {
            Connection::Open => Ok(()),
            Connection::Over => Err(End::Silent),
        }
    }

    async fn tell_worker(&mut self, text: String) -> Result<(), End> {
        self.socket.send(Message::Text(text.into())).await.map_err(|_| End::Silent)
    }

    async fn close_for(&mut self, reason: CloseReason) {
        self.close(reason.code(), reason.text()).await;
    }
}
