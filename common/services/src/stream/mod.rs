//! What follows from a write, derived from the table's stream by an idempotent consumer.
//!
//! What takes longer is left to the job runner ([`crate::jobs`]): its messages are made here.
//!
//! The stream tells of a change at least once, and in the order of the writes only for one item. So every step here
//! may be repeated, ids derive from what the change is about, and nothing depends on which of two items came first.

pub mod change;
mod deployment_polling;
pub mod flow_run_events;
mod follow_up_jobs;
mod lifecycle_events;
mod live_clients;
mod observed_states;
mod pool_changes;
mod probes;
mod surroundings;
pub mod task_run_recorder;
mod transition_notes;

use std::{collections::BTreeMap, time::Duration};

pub use change::{Batch, Change, Record, Written};
use futures::future::BoxFuture;
pub use surroundings::Surroundings;

use error::{Error, Result};
use store::{Item, Key, TableAccess, access, table::Index};

use crate::{
    App, automations, dead_letters, heartbeats,
    jobs::{
        queue::Queue,
        removals::{self, Look},
    },
    panics::caught,
};

/// What the consumer does with the table.
pub const ACCESS: TableAccess = TableAccess::WRITES_MANY.via(&[
    Index::ByParent,
    Index::Lookup,
    Index::Related,
    Index::WaitingInQueue,
    Index::WaitingOfDeployment,
    Index::Occupying,
]);

/// How long what belonged to one deleted record is removed here, before the rest is left to the job runner.
const PATIENCE: Duration = Duration::from_secs(1);

/// A change that could not be consumed for a passing reason, and is to be consumed later.
#[derive(Debug)]
pub struct Failure {
    /// The change's place in the batch.
    pub place: usize,
    /// Why it failed.
    pub error: Error,
}

/// Does what follows from `changes`; returns those that wait for what will pass, in the order of the batch.
///
/// What fails for good, or panics, is put aside as a dead letter, and counts as consumed. A change that makes no sense, such as
/// an event of a task run with a malformed payload, is logged and counts as consumed: it would make as little sense the next
/// time.
///
/// The future is boxed here, so that the binaries only link it.
pub fn consume<'c>(app: &'c App, queue: &'c Queue, changes: &'c [Change]) -> BoxFuture<'c, Vec<Failure>> {
    Box::pin(access::within(ACCESS, async move {
        let mut waiting = Vec::new();
        for (place, error) in consume_together(app, queue, changes).await.0 {
            let Some(change) = changes.get(place).filter(|_| !error.is_passing()) else {
                waiting.push(Failure { place, error });
                continue;
            };
            // It may be a neighbour's fault, so each is consumed by itself before it is put aside.
            let failure = match consume_alone(app, queue, change).await {
                Err(error) if !error.is_passing() => {
                    dead_letters::put_change_aside(app, change, &error.to_string()).await
                }
                outcome => outcome,
            };
            waiting.extend(failure.err().map(|error| Failure { place, error }));
        }
        waiting
    }))
}

/// Does what follows from what `records` tell of; returns those that wait for what will pass, in their order.
///
/// All that come after one that waits are to be told of again together with it, as DynamoDB's stream does.
pub fn consume_records<'c>(app: &'c App, queue: &'c Queue, records: Vec<Record>) -> BoxFuture<'c, Vec<Failure>> {
    Box::pin(access::within(ACCESS, async move {
        let all = records.len();
        let failed = |error: &Error| (0..all).map(|place| Failure { place, error: error.clone() }).collect();
        let batch = match Batch::read(&app.store, records).await {
            Ok(batch) => batch,
            Err(error) => return failed(&error),
        };
        let mut waiting = consume(app, queue, &batch.changes).await;
        for failure in &mut waiting {
            failure.place = batch.record_of(failure.place);
        }
        let first = waiting.first().map(|failure| failure.place);
        match batch.discard(&app.store, first).await {
            Ok(()) => waiting,
            Err(error) => failed(&error),
        }
    }))
}

/// Does what follows from one change.
///
/// # Errors
/// Why it failed, for a passing reason or for good.
pub(crate) async fn consume_alone(app: &App, queue: &Queue, change: &Change) -> Result<()> {
    let failures = consume_together(app, queue, std::slice::from_ref(change)).await;
    failures.0.into_values().next().map_or(Ok(()), Err)
}

/// Does what follows from `changes`, as much of it as possible at once; returns those that failed: all, if anything panics.
async fn consume_together(app: &App, queue: &Queue, changes: &[Change]) -> Failures {
    caught(follow_up(app, queue, changes)).await.unwrap_or_else(|error| {
        let mut failures = Failures::default();
        failures.add_all(0..changes.len(), &error);
        failures
    })
}

fn follow_up<'c>(app: &'c App, queue: &'c Queue, changes: &'c [Change]) -> BoxFuture<'c, Result<Failures>> {
    Box::pin(async move {
        let mut failures = Failures::default();
        transition_notes::leave(app, changes, &mut failures).await;
        // What a deleted run left behind goes first: an event in the same batch may bring the run back.
        for (place, key) in removed(changes) {
            if let Err(error) = removals::step(app, queue, key, Look::First, PATIENCE).await {
                failures.add(place, error);
            }
        }
        for change in changes {
            app.surroundings.forget(&change.key);
        }
        pool_changes::tell(app, changes);
        let written = written(changes);
        let items: Vec<(usize, &Item)> = written.iter().map(|(place, written)| (*place, written.after)).collect();
        follow_up_jobs::send(app, queue, &written, &mut failures).await;
        deployment_polling::follow(app, &items, &mut failures).await;
        observed_states::follow(app, queue, changes, &mut failures).await;
        if app.settings.event_persister_enabled {
            lifecycle_events::emit(app, &written, &mut failures).await;
            flow_run_events::emit(app, queue, &written, &mut failures).await;
        }
        if app.settings.task_run_recorder_enabled {
            task_run_recorder::record(app, &items, &mut failures).await;
        }
        if app.settings.heartbeats_watched {
            heartbeats::follow(app, &written, &mut failures).await;
        }
        if app.settings.triggers_enabled {
            automations::follow::follow(app, queue, &written, &mut failures).await;
        }
        // What clients are told of is durable; a change that fails above is told of again, which they notice by its id.
        live_clients::tell(app, changes, &mut failures).await;
        // Last, for it says that what came before is done.
        probes::note(app, &written, &mut failures).await;
        Ok(failures)
    })
}

fn written(changes: &[Change]) -> Vec<(usize, Written<'_>)> {
    changes.iter().enumerate().filter_map(|(place, change)| Some((place, change.written()?))).collect()
}

fn removed(changes: &[Change]) -> impl Iterator<Item = (usize, &Key)> {
    changes.iter().enumerate().filter(|(_, change)| change.after.is_none()).map(|(place, change)| (place, &change.key))
}

/// The failures so far, one a change.
#[derive(Debug, Default)]
pub(crate) struct Failures(BTreeMap<usize, Error>);

impl Failures {
    pub(crate) fn add(&mut self, place: usize, error: Error) {
        self.0.entry(place).or_insert(error);
    }

    /// Notes the failure of several changes that were written together.
    pub(crate) fn add_all(&mut self, places: impl IntoIterator<Item = usize>, error: &Error) {
        for place in places {
            self.add(place, error.clone());
        }
    }
}
