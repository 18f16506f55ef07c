//! The runs that nobody has started in time (Prefect's `MarkLateRuns`).
//!
//! A run that waits is found by its next scheduled start time, and has no timer ([`timers::due`]). A schedule looks
//! from a cursor on for what is late by then, or soon, and leaves a message for each partition where there is
//! something. The cursor moves after the messages are in the queue: a look that is killed before is made again, and one
//! that is made twice sends messages that find nothing left to do. Marking is conditional on the state.
//!
//! A late run that still waits keeps its place, and lies before the cursor from then on. So a look costs what is due,
//! not what waits.

use std::time::Duration;

use futures::{StreamExt, stream};

use domain::model::{FlowRun, FlowRunId, Timestamp};
use error::{Error, Result};
use store::{late_runs::NextStart, table};

use super::timers::wait;
use crate::{
    App,
    jobs::queue::{Message, Queue},
    timers::{self, SECONDS_LOOKED_AT_AGAIN},
    transitions,
};

/// How many runs of a partition one message is about.
const PAGE: usize = 100;

/// How many runs are marked at the same time.
const AT_ONCE: usize = 8;

/// Leaves a message for each partition that has a run which is late, or soon may be.
///
/// Without a cursor the look begins with the first run that waits. So it does once the service was off: what was
/// written meanwhile may lie anywhere.
pub(super) async fn tick(app: &App, queue: &Queue) -> Result<()> {
    let (store, settings) = (&app.store, &app.settings);
    let cursor = store.late_runs_cursor().await?;
    if !settings.late_runs_enabled {
        return match cursor {
            Some(cursor) => store.forget_late_runs_cursor(&cursor).await,
            None => Ok(()),
        };
    }
    let late_until = app.now().plus_seconds(-settings.late_runs_after);
    let until = late_until.plus_seconds(settings.timers_ahead);
    let looked_until = cursor.as_ref().map(|cursor| cursor.record.looked_until);
    let after = looked_until.map(|looked| looked.min(late_until).plus_seconds(-SECONDS_LOOKED_AT_AGAIN).sortable());
    let partitions = store.next_start_partitions();
    let firsts = partitions.iter().map(|partition| store.next_starts(partition, after.as_deref(), until, 1));
    let firsts = futures::future::try_join_all(firsts).await?;
    let found = partitions.into_iter().zip(firsts).filter(|(_, first)| !first.is_empty());
    let messages: Vec<Message> =
        found.map(|(partition, _)| Message::LateRuns { partition, after: after.clone(), until }).collect();
    // A cursor in the future is that of a clock which was wrong, or of runs that were late sooner.
    let is_ahead = looked_until.is_some_and(|looked| looked > late_until);
    // While nothing is found, the range grows and costs nothing.
    if messages.is_empty() && !is_ahead {
        return Ok(());
    }
    queue.send(&messages).await?;
    // Not until `until`: what is not late yet is looked at again when it is, if its message came too early.
    store.move_late_runs_cursor(cursor.as_ref(), late_until).await
}

/// Marks the runs of `partition` behind `after` that are late, and has the queue deliver those on time that will be by
/// the time that those of `until` are.
///
/// A run that can't be marked has a message of its own from then on, and keeps no other from being marked.
pub(super) async fn look(
    app: &App,
    queue: &Queue,
    partition: &str,
    after: Option<&str>,
    until: Timestamp,
) -> Result<()> {
    let now = app.now();
    let found = app.store.next_starts(partition, after, until, PAGE).await?;
    let last = found.last().map(|last| last.place.clone()).filter(|_| found.len() == PAGE);
    let late_from = |next: &NextStart| next.time.plus_seconds(app.settings.late_runs_after);
    let (late, soon): (Vec<NextStart>, Vec<NextStart>) = found.into_iter().partition(|next| late_from(next) <= now);
    let deliveries: Vec<_> = soon.iter().map(|next| (look_at(next.run), wait(now, late_from(next)))).collect();
    queue.send_later(&deliveries).await?;
    let mut rest: Vec<(Message, Duration)> =
        mark(app, &late).await?.into_iter().map(|run| (look_at(run), Duration::ZERO)).collect();
    if let Some(last) = last {
        let more = Message::LateRuns { partition: partition.to_owned(), after: Some(last), until };
        rest.push((more, Duration::ZERO));
    }
    queue.send_later(&rest).await
}

fn look_at(run: FlowRunId) -> Message {
    Message::Timer { of: table::flow_run(run) }
}

/// Marks those of `runs` that still wait; returns those that could not be marked.
async fn mark(app: &App, runs: &[NextStart]) -> Result<Vec<FlowRunId>> {
    let keys: Vec<_> = runs.iter().map(|next| table::flow_run(next.run)).collect();
    let found = app.store.get_many::<FlowRun>(&keys).await?;
    let waiting = found.into_iter().filter_map(|found| {
        let state = found.record.state?;
        timers::is_late(&state, &app.settings, app.now()).then_some((found.record.id, state))
    });
    let failed = stream::iter(waiting)
        .map(|(run, state)| async move {
            match transitions::mark_late(app, run, state.id, state.state_details.scheduled_time).await {
                // The run is gone, or has left the state.
                Ok(_) | Err(Error::NoSuchRun(_) | Error::Conflict(_)) => None,
                Err(error) => {
                    tracing::warn!(%run, %error, "a late run could not be marked and is tried again by itself");
                    Some(run)
                }
            }
        })
        .buffer_unordered(AT_ONCE);
    Ok(failed.filter_map(|run| async move { run }).collect().await)
}
