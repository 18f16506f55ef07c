//! What clients of `/events/out` and `/logs/out` are told of the time before they are told of everything as it happens.
//!
//! An event belongs to one of three times by when it was received, so that it is told once and in order: to the first
//! look if that was before the client asked, to the second look if it was before [`EventSubscription::live_from`], and
//! else to the stream's consumer. By `live_from` every consumer knows of the client ([`super::listening`]), and a look
//! comes late enough after the events that it is about that the index of events tells of them. Of log lines there is
//! the second look alone: what was before is not told, as in Prefect.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use domain::{
    filter::{EventFilter, EventOrder, LogFilter, LogSort, time::TimeFilter},
    model::{EventSubscription, LogSubscription, Subscription, Timestamp},
};
use error::Result;
use store::{
    event_query::{self, Counting},
    select::Window,
};

use super::{
    largest_message,
    listening::REMEMBERED,
    send,
    telling::{event_text, log_line_text},
};
use crate::{
    App,
    jobs::queue::{Message, Queue},
};

/// How long after it was received an event is certainly found, in seconds.
const SETTLED: f64 = 2.0;

/// How long after `live_from` the second look comes, in seconds.
const LOOKS_AFTER: f64 = 2.0;

/// How long after `live_from` the consumer tells of every event, whenever it was received, in seconds.
pub(super) const VISIBLE_AFTER: f64 = 2.5;

/// How far clocks of functions may differ, in seconds.
const CLOCKS: f64 = 1.0;

/// How long a step goes on before it leaves the rest to another message.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after it was written a line comes at the latest that a look at logs finds, in seconds.
const LATEST_LINE: f64 = 60.0;

/// At how many lines a look at logs looks.
const MOST_LINES: usize = 10_000;

/// A look at the events that were received within a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// From when on; from the beginning if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when, which is not included.
    pub until: Timestamp,
    /// The place of the last event that the client was told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Look {
    fn is_about(&self, received: Timestamp) -> bool {
        self.from.is_none_or(|from| received >= from) && received < self.until
    }
}

/// Makes a subscription of what a client asks for at `now`.
pub fn subscription(app: &App, mut filter: EventFilter, backfill: bool, now: Timestamp) -> Subscription {
    filter.order = EventOrder::Asc;
    let earliest = now.plus_seconds(-app.settings.live.backfill);
    filter.occurred.since = Some(filter.occurred.since.map_or(earliest, |since| since.max(earliest)));
    let live_from = live_from(now);
    Subscription::Events(EventSubscription { filter: Box::new(filter), asked: now, backfill, live_from })
}

/// Makes a subscription of the log lines that a client asks for at `now`.
pub fn subscription_to_logs(filter: LogFilter, now: Timestamp) -> Subscription {
    Subscription::Logs(LogSubscription { filter: Box::new(filter), asked: now, live_from: live_from(now) })
}

fn live_from(now: Timestamp) -> Timestamp {
    now.plus_seconds(REMEMBERED.as_secs_f64() + CLOCKS)
}

/// Returns the looks that follow from a subscription, each with when it is due.
pub fn looks(wanted: &Subscription) -> Vec<(Look, Timestamp)> {
    let (asked, live_from, backfill) = match wanted {
        Subscription::Events(wanted) => (wanted.asked, wanted.live_from, wanted.backfill),
        Subscription::Logs(wanted) => (wanted.asked, wanted.live_from, false),
        Subscription::TaskRuns(_) | Subscription::Pool(_) => return Vec::new(),
    };
    let between = if backfill { asked.plus_seconds(-SETTLED) } else { asked };
    let first = Look { from: None, until: between, after: None };
    let second = Look { from: Some(between), until: live_from, after: None };
    let first = backfill.then_some((first, asked));
    first.into_iter().chain([(second, live_from.plus_seconds(LOOKS_AFTER))]).collect()
}

/// Tells the client of the connection `id` of what a look finds, for as long as a step may take.
///
/// # Errors
/// [`error::Error::Unavailable`] if the table or the queue can't be reached; a repeat tells of the same again.
pub(crate) async fn step(app: &App, queue: &Queue, id: &str, look: &Look) -> Result<()> {
    let Some(found) = app.store.connection(id).await? else { return Ok(()) };
    match &found.record.subscription {
        Some(Subscription::Events(wanted)) => tell_of_events(app, queue, id, wanted, look).await,
        Some(Subscription::Logs(wanted)) => tell_of_logs(app, id, wanted, look).await,
        _ => Ok(()),
    }
}

async fn tell_of_events(app: &App, queue: &Queue, id: &str, wanted: &EventSubscription, look: &Look) -> Result<()> {
    let (began, mut filter, mut after) = (Instant::now(), wanted.filter.clone(), look.after.clone());
    // Who said no end wants what is dated ahead of our clock, too.
    filter.occurred.until = Some(filter.occurred.until.unwrap_or(Timestamp::MAX));
    loop {
        let page = app.settings.live.backfill_page;
        let read = app.store.read_events(&filter, after.as_deref(), page, Counting::PageOnly).await?;
        for event in &read.events {
            if let Some(text) = look.is_about(event.received).then(|| event_text(event, largest_message(id))).flatten()
                && !send(app, id, &text).await?
            {
                return Ok(());
            }
            after = Some(event_query::place(event));
            if began.elapsed() > PATIENCE {
                let rest = Look { after, ..look.clone() };
                return queue.send(&[Message::Backfill { connection: id.to_owned(), look: rest }]).await;
            }
        }
        if !read.has_more {
            return Ok(());
        }
    }
}

/// Tells of the lines that came while not every consumer knew of the client: of a few seconds.
async fn tell_of_logs(app: &App, id: &str, wanted: &LogSubscription, look: &Look) -> Result<()> {
    let mut filter = wanted.filter.clone();
    let earliest = wanted.asked.plus_seconds(-LATEST_LINE);
    let timestamp = filter.timestamp.get_or_insert_with(TimeFilter::default);
    timestamp.after = Some(timestamp.after.map_or(earliest, |after| after.max(earliest)));
    let page = Window { offset: 0, limit: MOST_LINES };
    for log in app.store.logs(&filter, LogSort::TimestampAsc, page).await? {
        if let Some(text) = look.is_about(log.created).then(|| log_line_text(&log, largest_message(id))).flatten()
            && wanted.filter.matches(&log)
            && !send(app, id, &text).await?
        {
            break;
        }
    }
    Ok(())
}
