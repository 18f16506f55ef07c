//! `/events/out` and `/logs/out`: a client that is told what happens.

use std::{collections::HashSet, future::pending};

use axum::extract::ws::{Message, Utf8Bytes};
use common::{
    access::Caller,
    domain::access::Role,
    filter::{EventFilter, EventOrder, LogFilter},
    live::{Subscription, message},
    model::EventId,
    socket::subscription::{self, EXPECTED_FILTER, FELL_BEHIND, PROTOCOL_ERROR, Refusal, TRY_AGAIN_LATER, Topic, Wish},
    store::event_query::{self, Counting},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, interval_at};

use super::{Client, Connection};

/// What being told needs, as the operations that read the same over HTTP do.
pub(super) const REQUIRED: Role = Role::ReadOnly;

impl Client {
    /// Tells a client of the events that its filter selects, of those that have just happened first if it wants that.
    pub(super) async fn send_events(mut self, caller: Caller) {
        let Some(Wish { mut filter, backfill }) = self.wish::<EventFilter>(Topic::Events).await else { return };
        let settings = self.app.settings.live;
        // What happens from now on is waited for first, so that nothing is missed in between.
        filter.order = EventOrder::Asc;
        let earliest = self.app.now().plus_seconds(-settings.backfill);
        filter.occurred.since = Some(filter.occurred.since.map_or(earliest, |since| since.max(earliest)));
        let told = settings.events.then(|| self.app.live.events.subscribe(filter.clone()));
        let mut sent = HashSet::new();
        if backfill && !self.send_backfill(filter, &mut sent).await {
            return;
        }
        self.send(caller, told, sent).await;
    }

    /// Tells a client of the log lines that its filter selects.
    pub(super) async fn send_logs(mut self, caller: Caller) {
        let Some(Wish { filter, .. }) = self.wish::<LogFilter>(Topic::Logs).await else { return };
        let told = self.app.settings.live.logs.then(|| self.app.live.logs.subscribe(filter));
        self.send(caller, told, HashSet::new()).await;
    }

    /// Reads what the client wants; none if the connection is over.
    async fn wish<F: DeserializeOwned>(&mut self, topic: Topic) -> Option<Wish<F>> {
        let text = self.first_message(PROTOCOL_ERROR, EXPECTED_FILTER).await?;
        self.meter.worked_off();
        match subscription::read(topic, &text) {
            Ok(wish) => Some(wish),
            Err(Refusal::Closed(reason)) => {
                self.close(PROTOCOL_ERROR, &reason).await;
                None
            }
            Err(Refusal::Senseless) => None,
        }
    }

    /// Sends the events that happened before, and notes them in `sent`; says whether the connection goes on.
    async fn send_backfill(&mut self, mut filter: EventFilter, sent: &mut HashSet<EventId>) -> bool {
        let page = self.app.settings.live.backfill_page;
        let mut after: Option<String> = None;
        // Who said no end wants what is dated ahead of our clock, too.
        filter.occurred.until = Some(filter.occurred.until.unwrap_or(common::model::Timestamp::MAX));
        loop {
            let read = self.app.store.read_events(&filter, after.as_deref(), page, Counting::PageOnly).await;
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(%error, "a websocket is dropped, because what happened before can't be read");
                    return false;
                }
            };
            after = read.events.last().map(event_query::place);
            for event in read.events {
                sent.insert(event.id);
                let Some(text) = message("event", serde_json::to_value(&event)) else { continue };
                if self.socket.send(Message::Text(text.into())).await.is_err() {
                    return false;
                }
            }
            if !read.has_more {
                return true;
            }
        }
    }

    /// Sends what `told` brings, without what was `sent` before, until the client leaves, falls behind or its key is over.
    async fn send<F>(&mut self, caller: Caller, mut told: Option<Subscription<F>>, mut sent: HashSet<EventId>) {
        let every = self.app.settings.limits.ping_interval;
        let mut pings = interval_at(Instant::now() + every, every);
        loop {
            let connection = tokio::select! {
                received = self.socket.recv() => self.heard(received.as_ref()),
                told = async { match &mut told { Some(told) => told.next().await, None => pending().await } } => match told {
                    Some(told) if sent.remove(&EventId(told.id)) => Connection::Open,
                    Some(told) => self.tell(caller, &told.text).await,
                    None => {
                        self.close(TRY_AGAIN_LATER, FELL_BEHIND).await;
                        Connection::Over
                    }
                },
                _ = pings.tick() => match self.may_go_on(caller, REQUIRED).await {
                    Connection::Open => self.ping().await,
                    Connection::Over => Connection::Over,
                },
            };
            if connection == Connection::Over {
                return;
            }
        }
    }

    async fn tell(&mut self, caller: Caller, text: &str) -> Connection {
        if self.may_go_on(caller, REQUIRED).await == Connection::Over {
            return Connection::Over;
        }
        match self.socket.send(Message::Text(Utf8Bytes::from(text))).await {
            Ok(()) => Connection::Open,
            Err(_) => Connection::Over,
        }
    }
}
