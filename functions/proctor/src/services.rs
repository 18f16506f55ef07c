//! The background services, in the place of schedules and event sources.

use std::time::{Duration, Instant};

use common::{
    App, dead_letters,
    jobs::{
        self, Delivery,
        queue::{Message, Queue},
    },
    store::access,
    stream::{self, Batch, Change, Record},
};
use embedded::{EmbeddedQueue, ReceivedMessage};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::database::{Changes, Database, DatabaseError};

/// How often items past their time to live are deleted.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// How many changes the consumer takes at once, as the event source mapping hands them out.
const CHANGES_AT_ONCE: usize = 100;

/// How long the consumer waits before it tries a failed change again, the first time; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// How long the consumer waits at most before it tries a failed change again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a service that broke down stays down, the first time.
const FIRST_RESTART: Duration = Duration::from_secs(1);

/// How long a service that breaks down again and again stays down at most.
const LONGEST_RESTART: Duration = Duration::from_mins(1);

/// How many messages the job runner takes at once, as the event source mapping hands them out.
const MESSAGES_AT_ONCE: usize = 10;

/// How long a message is hidden from other workers while one has it.
const HIDDEN: Duration = Duration::from_mins(1);

/// The services that run in this process.
#[derive(Debug, Default)]
pub struct Services(JoinSet<()>);

impl Services {
    /// Runs no service.
    pub fn none() -> Self {
        Self::default()
    }

    /// Starts the services that the settings enable; they end when `stopping` turns true.
    pub fn start(app: &App, database: &Database, stopping: &watch::Receiver<bool>) -> Result<Self, DatabaseError> {
        let mut services = JoinSet::new();
        let inbox = database.queue()?;
        // One queue whatever its address.
        let queue = Queue::new(aws_sdk_sqs::Client::from_conf(inbox.sdk_config()), "local");
        let of = || (app.clone(), queue.clone(), database.clone(), inbox.clone(), stopping.clone());
        let (app, queue, _, _, stopped) = of();
        services.spawn(supervise("timers", FIRST_RESTART, stopping.clone(), move || {
            tokio::spawn(look_for_timers(app.clone(), queue.clone(), stopped.clone()))
        }));
        let (app, queue, _, inbox, stopped) = of();
        services.spawn(supervise("jobs", FIRST_RESTART, stopping.clone(), move || {
            tokio::spawn(run_jobs(app.clone(), queue.clone(), inbox.clone(), stopped.clone()))
        }));
        let (_, _, database, _, stopped) = of();
        services.spawn(supervise("sweep", FIRST_RESTART, stopping.clone(), move || {
            tokio::spawn(sweep(database.clone(), stopped.clone()))
        }));
        let (app, queue, database, _, stopped) = of();
        services.spawn(supervise("stream", FIRST_RESTART, stopping.clone(), move || {
            let work = consume_changes(app.clone(), queue.clone(), database.clone(), stopped.clone());
            // On a thread of its own: one slow batch keeps no request waiting.
            tokio::task::spawn_blocking(move || Handle::current().block_on(work))
        }));
        Ok(Self(services))
    }

    /// Waits until every service has ended.
    pub async fn join(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// Keeps a service running that `start` starts, until it ends by itself or `stopping` turns true.
///
/// One that panics is reported and started again: after `pause`, then twice as long each time, a minute at most. What it had
/// in hand is where it was, in the stream or the queue, and is taken up again. A Lambda function is replaced likewise.
async fn supervise(
    service: &'static str,
    pause: Duration,
    mut stopping: watch::Receiver<bool>,
    start: impl Fn() -> JoinHandle<()>,
) {
    let mut wait = pause;
    loop {
        let began = Instant::now();
        let Err(error) = start().await else { return };
        if began.elapsed() > LONGEST_RESTART {
            wait = pause;
        }
        let again_in = wait.as_secs_f64();
        tracing::error!(service, %error, again_in, "a background service broke down and is started again");
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_RESTART),
        }
    }
}

/// Deletes what has expired, as DynamoDB does by itself.
async fn sweep(database: Database, mut stopping: watch::Receiver<bool>) {
    loop {
        if let Err(error) = database.sweep_expired().await {
            tracing::error!(%error, "expired items could not be deleted");
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
    }
}

/// Consumes the table's change stream, in the place of a Lambda event source mapping.
///
/// A batch that was begun is finished before the service ends; what comes after waits in the database.
async fn consume_changes(app: App, queue: Queue, database: Database, mut stopping: watch::Receiver<bool>) {
    let mut changes = database.changes(&app.settings.table);
    loop {
        let next = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            next = changes.next(CHANGES_AT_ONCE) => next,
        };
        if let Err(error) = consume(&app, &queue, &mut changes, next, &stopping).await {
            tracing::error!(%error, "the change stream could not be read");
            tokio::time::sleep(FIRST_PAUSE).await;
        }
    }
}

/// Looks for what is due, in the place of a schedule.
async fn look_for_timers(app: App, queue: Queue, mut stopping: watch::Receiver<bool>) {
    let interval = Duration::try_from_secs_f64(app.settings.timers_interval).unwrap_or(SWEEP_INTERVAL);
    loop {
        if let Err(error) = jobs::timers::tick(&app, &queue).await {
            tracing::error!(%error, "what is due could not be found");
        }
        if let Err(error) = jobs::schedules::tick(&app, &queue).await {
            tracing::error!(%error, "the deployments whose schedules are due could not be found");
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// Works off the queue, in the place of a Lambda event source mapping.
///
/// What was begun is finished before the service ends; what could not be done comes again, as does what was under way
/// when the process died.
async fn run_jobs(app: App, queue: Queue, inbox: EmbeddedQueue, mut stopping: watch::Receiver<bool>) {
    while let Err(error) = inbox.take_up().await {
        tracing::error!(%error, "what was in hand when the server ended last could not be taken up");
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LONGEST_PAUSE) => {}
        }
    }
    loop {
        let received = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            received = inbox.receive(MESSAGES_AT_ONCE, HIDDEN) => received,
        };
        match received {
            Ok(received) => work_off(&app, &queue, &inbox, received, &stopping).await,
            Err(error) => {
                tracing::error!(%error, "the queue could not be read");
                tokio::time::sleep(FIRST_PAUSE).await;
            }
        }
    }
}

/// Works off what was `received`, and again what waits for what will pass, until the end.
///
/// A message that is left to come again by itself is hidden for a minute, and counts as one that killed its worker.
async fn work_off(
    app: &App,
    queue: &Queue,
    inbox: &EmbeddedQueue,
    received: Vec<ReceivedMessage>,
    stopping: &watch::Receiver<bool>,
) {
    let (mut pause, mut stopping) = (FIRST_PAUSE, stopping.clone());
    let mut waiting: Vec<(ReceivedMessage, Delivery)> = Vec::new();
    for received in received {
        match serde_json::from_str::<Message>(&received.body) {
            Ok(message) => {
                let delivery = Delivery { message, receives: received.receives };
                waiting.push((received, delivery));
            }
            Err(error) => put_text_aside(app, inbox, &received, &error.to_string()).await,
        }
    }
    loop {
        let deliveries: Vec<Delivery> = waiting.iter().map(|(_, delivery)| delivery.clone()).collect();
        let failures = jobs::consume(app, queue, &deliveries).await;
        for failure in &failures {
            let delivery = deliveries.get(failure.place);
            tracing::warn!(?delivery, error = %failure.error, "a message could not be worked off and is tried again");
        }
        let mut left = Vec::new();
        for (place, (received, delivery)) in waiting.into_iter().enumerate() {
            let has_failed = failures.iter().any(|failure| failure.place == place);
            if has_failed || is_left(inbox, &received).await {
                left.push((received, delivery));
            }
        }
        if left.is_empty() {
            return;
        }
        waiting = left;
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

/// Puts what is no message aside; it comes again if that fails.
async fn put_text_aside(app: &App, inbox: &EmbeddedQueue, received: &ReceivedMessage, reason: &str) {
    match dead_letters::put_text_aside(app, &received.body, reason).await {
        Ok(()) => drop(is_left(inbox, received).await),
        Err(error) => tracing::warn!(%error, "what is no message could not be put aside"),
    }
}

/// Acknowledges a message that was worked off; returns whether it is still there.
async fn is_left(inbox: &EmbeddedQueue, received: &ReceivedMessage) -> bool {
    inbox
        .acknowledge(received)
        .await
        .inspect_err(|error| tracing::warn!(%error, "a message could not be acknowledged"))
        .is_err()
}

async fn consume(
    app: &App,
    queue: &Queue,
    changes: &mut Changes,
    next: Result<Vec<Record>, DatabaseError>,
    stopping: &watch::Receiver<bool>,
) -> Result<(), DatabaseError> {
    let records = next?;
    let mut batch = match access::within(stream::ACCESS, Batch::read(&app.store, records)).await {
        Ok(batch) => batch,
        Err(error) => {
            tracing::warn!(%error, "changes could not be read and are tried again");
            tokio::time::sleep(LONGEST_PAUSE).await;
            return Ok(());
        }
    };
    if consume_patiently(app, queue, std::mem::take(&mut batch.changes), stopping).await {
        if let Err(error) = access::within(stream::ACCESS, batch.discard(&app.store, None)).await {
            tracing::warn!(%error, "parts of texts that no item names stay");
        }
        changes.acknowledge()?;
    }
    Ok(())
}

/// Consumes `changes`, and again those that wait for what will pass; returns whether that came before the end.
///
/// What is not consumed when the server stops is told of again when it starts.
async fn consume_patiently(
    app: &App,
    queue: &Queue,
    mut changes: Vec<Change>,
    stopping: &watch::Receiver<bool>,
) -> bool {
    let (mut pause, mut stopping) = (FIRST_PAUSE, stopping.clone());
    loop {
        let failures = stream::consume(app, queue, &changes).await;
        if failures.is_empty() {
            return true;
        }
        for failure in &failures {
            let key = changes.get(failure.place).map(|change| &change.key);
            tracing::warn!(?key, error = %failure.error, "a change could not be consumed and is tried again");
        }
        let failed = |place: usize| failures.iter().any(|failure| failure.place == place);
        changes =
            changes.into_iter().enumerate().filter(|(place, _)| failed(*place)).map(|(_, change)| change).collect();
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return false,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, reason = "a service has to break down")]

    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// Supervises a service that breaks down `times` and then ends; returns how often it was started.
    async fn started(times: usize, stopping: watch::Receiver<bool>) -> usize {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let start = move || {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move { assert!(number >= times, "it breaks down") })
        };
        supervise("test", Duration::from_millis(1), stopping, start).await;
        count.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn a_service_that_panics_is_started_again() {
        let (_stop, stopping) = watch::channel(false);
        assert_eq!(started(3, stopping).await, 4);
    }

    #[tokio::test]
    async fn a_service_that_ends_is_left_alone() {
        let (_stop, stopping) = watch::channel(false);
        assert_eq!(started(0, stopping).await, 1);
    }

    #[tokio::test]
    async fn no_service_is_started_again_when_the_server_stops() {
        let (stop, stopping) = watch::channel(false);
        stop.send(true).unwrap();
        assert_eq!(started(3, stopping).await, 1);
    }
}
