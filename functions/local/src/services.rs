//! The background services, in the place of schedules and event sources.

use std::time::Duration;

use common::{
    Api, Result,
    stream::{self, Change},
};
use embedded::{ChangeStream, EmbeddedDatabase, EmbeddedError, StreamRecord};
use tokio::{runtime::Handle, sync::watch, task::JoinSet};

/// How often items past their time to live are deleted.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// How many changes the stream's consumer takes at once.
const CHANGES_AT_ONCE: usize = 500;

/// How often a change is tried before it is put aside.
const ATTEMPTS: u32 = 8;

/// How long the consumer waits before it tries a failed change again, the first time; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The services that run in this process.
#[derive(Debug, Default)]
pub struct Services(JoinSet<()>);

impl Services {
    /// Runs no service.
    pub fn none() -> Self {
        Self::default()
    }

    /// Starts the services that the settings enable; they end when `stopping` turns true.
    pub fn start(api: &Api, database: &EmbeddedDatabase, stopping: &watch::Receiver<bool>) -> Result<Self> {
        let mut services = JoinSet::new();
        services.spawn(sweep(database.clone(), stopping.clone()));
        // On a thread of its own: one slow batch keeps no request waiting.
        let consumer = (api.clone(), database.clone(), stopping.clone());
        services.spawn_blocking(move || {
            let (api, database, stopping) = consumer;
            Handle::current().block_on(consume_changes(api, database, stopping));
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
async fn consume_changes(api: Api, database: EmbeddedDatabase, mut stopping: watch::Receiver<bool>) {
    let mut changes = database.change_stream(&api.settings.table);
    loop {
        let next = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            next = changes.next(CHANGES_AT_ONCE) => next,
        };
        if let Err(error) = consume(&api, &mut changes, next).await {
            tracing::error!(%error, "the change stream could not be read");
            tokio::time::sleep(FIRST_PAUSE).await;
        }
    }
}

async fn consume(
    api: &Api,
    changes: &mut ChangeStream,
    next: Result<Vec<StreamRecord>, EmbeddedError>,
) -> Result<(), EmbeddedError> {
    let mut records = next?;
    let read = records.iter_mut().filter_map(|record| {
        Change::new(std::mem::take(&mut record.keys), record.new_image.take())
            .inspect_err(|error| tracing::error!(%error, "a change can't be read and is passed over"))
            .ok()
    });
    consume_patiently(api, read.collect()).await;
    changes.acknowledge(&records)
}

/// Consumes `changes`, and those that fail again and again; the ones that keep failing are logged and given up.
async fn consume_patiently(api: &Api, mut changes: Vec<Change>) {
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=ATTEMPTS {
        let failures = stream::consume(api, &changes).await;
        if failures.is_empty() {
            return;
        }
        for failure in &failures {
            let key = changes.get(failure.place).map(|change| &change.key);
            let error = &failure.error;
            if attempt < ATTEMPTS {
                tracing::warn!(?key, attempt, %error, "a change could not be consumed and is tried again");
            } else {
                tracing::error!(?key, %error, "a change could not be consumed and is put aside");
            }
        }
        let failed = |place: usize| failures.iter().any(|failure| failure.place == place);
        changes =
            changes.into_iter().enumerate().filter(|(place, _)| failed(*place)).map(|(_, change)| change).collect();
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
