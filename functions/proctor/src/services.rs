//! The background services, in the place of schedules and event sources.

use std::time::Duration;

use common::{
    App, dead_letters,
    jobs::{
        self, Delivery,
        queue::{Message, Queue},
    },
    stream::{self, Change},
};
use embedded::{ChangeStream, EmbeddedDatabase, EmbeddedError, EmbeddedQueue, ReceivedMessage, StreamRecord};
use tokio::{runtime::Handle, sync::watch, task::JoinSet};

/// How often items past their time to live are deleted.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// How many changes the consumer takes at once, as the event source mapping hands them out.
const CHANGES_AT_ONCE: usize = 100;

/// How long the consumer waits before it tries a failed change again, the first time; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// How long the consumer waits at most before it tries a failed change again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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
    pub fn start(
        app: &App,
        database: &EmbeddedDatabase,
        stopping: &watch::Receiver<bool>,
    ) -> Result<Self, EmbeddedError> {
        let mut services = JoinSet::new();
        let inbox = database.queue()?;
        // One queue whatever its address.
        let queue = Queue::new(aws_sdk_sqs::Client::from_conf(inbox.sdk_config()), "local");
        services.spawn(look_for_timers(app.clone(), queue.clone(), stopping.clone()));
        services.spawn(run_jobs(app.clone(), queue.clone(), inbox, stopping.clone()));
        services.spawn(sweep(database.clone(), stopping.clone()));
        // On a thread of its own: one slow batch keeps no request waiting.
        let consumer = (app.clone(), queue, database.clone(), stopping.clone());
        services.spawn_blocking(move || {
            let (app, queue, database, stopping) = consumer;
            Handle::current().block_on(consume_changes(app, queue, database, stopping));
        });
        Ok(Self(services))
    }

    /// Waits until every service has ended.
    pub async fn join(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// Deletes what has expired, as DynamoDB does by itself.
async fn sweep(database: EmbeddedDatabase, mut stopping: watch::Receiver<bool>) {
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
async fn consume_changes(app: App, queue: Queue, database: EmbeddedDatabase, mut stopping: watch::Receiver<bool>) {
    let mut changes = database.change_stream(&app.settings.table);
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
    changes: &mut ChangeStream,
    next: Result<Vec<StreamRecord>, EmbeddedError>,
    stopping: &watch::Receiver<bool>,
) -> Result<(), EmbeddedError> {
    let mut records = next?;
    let read = records.iter_mut().filter_map(|record| {
        Change::from_json(std::mem::take(&mut record.keys), record.old_image.take(), record.new_image.take())
            .inspect_err(|error| tracing::error!(%error, "a change can't be read and is passed over"))
            .ok()
    });
    if consume_patiently(app, queue, read.collect(), stopping).await {
        changes.acknowledge(&records)?;
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
