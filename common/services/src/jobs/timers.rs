//! What the server does by itself, when it is due (Prefect's services for late runs, expired pauses, cancellations that
//! take too long, leases that nobody renewed, and its foreman, who marks what was silent for too long; besides these,
//! service level agreements).
//!
//! A schedule asks every partition of timers whether something is due soon, and leaves the rest to the job runner. It
//! looks for [late runs](late_runs) as well, most of which have no timer. A timer is taken off its state after it was
//! fired, so one whose worker dies is found again; and it has no effect on a run that has left the state.

use std::time::Duration;

use futures::{StreamExt, stream};
use serde_json::json;

use domain::{
    model::{FlowRunId, State, StateType, Timestamp},
    orchestration::Client,
};
use error::{Error, Result};
use store::{
    Key, TableAccess, Write,
    table::{Index, Subject},
    timers::Timer,
    unreadable,
};

use crate::{
    App, automations, cleanups, connections, heartbeats,
    jobs::{
        late_runs,
        queue::{Message, Queue},
    },
    service_levels,
    timers::is_late,
    transitions::{self, Proposal, propose_flow_run_state_with},
};

/// What the schedule's function does with the table, here, for the schedules of deployments, and for the workers of
/// background tasks that a gateway holds; the job runner does the rest.
pub const ACCESS: TableAccess = connections::ACCESS.via(&[Index::Related]).and(store::late_runs::LATE_RUNS);

/// How many timers of a partition one message is about.
const PAGE: usize = 100;

/// How many timers are fired at the same time.
const AT_ONCE: usize = 8;

/// Leaves messages for what is due soon: timers, and flow runs that are late then.
///
/// # Errors
/// That of the first one that failed; the other one is done all the same.
pub async fn tick(app: &App, queue: &Queue) -> Result<()> {
    let (timers, late_runs) =
        futures::join!(Box::pin(tick_of_timers(app, queue)), Box::pin(late_runs::tick(app, queue)));
    timers.and(late_runs)
}

/// Leaves a message for each partition that has a timer due soon.
async fn tick_of_timers(app: &App, queue: &Queue) -> Result<()> {
    let until = app.now().plus_seconds(app.settings.timers_ahead);
    let partitions = app.store.timer_partitions();
    let firsts = partitions.iter().map(|partition| app.store.timers(partition, None, until, 1));
    let firsts = futures::future::try_join_all(firsts).await?;
    let messages: Vec<Message> = partitions
        .into_iter()
        .zip(firsts)
        .filter(|(_, first)| !first.is_empty())
        .map(|(partition, _)| Message::Timers { partition, after: None })
        .collect();
    if messages.is_empty() { Ok(()) } else { queue.send(&messages).await }
}

/// Fires the timers of `partition` that are due, and has the queue deliver those on time that soon will be.
///
/// A timer that can't be fired stays and keeps no other from being fired: those behind it are read on from it.
///
/// # Errors
/// That of the first timer that failed for a passing reason, after all others were fired.
pub(super) async fn fire_due(app: &App, queue: &Queue, partition: &str, after: Option<&str>) -> Result<()> {
    let now = app.now();
    let until = now.plus_seconds(app.settings.timers_ahead);
    let timers = app.store.timers(partition, after, until, PAGE).await?;
    let last = timers.last().map(|timer| timer.place.clone()).filter(|_| timers.len() == PAGE);
    let (due, soon): (Vec<Timer>, Vec<Timer>) = timers.into_iter().partition(|timer| timer.due <= now);
    let is_all_due = soon.is_empty();
    let deliveries: Vec<_> =
        soon.into_iter().map(|timer| (Message::Timer { of: timer.of }, wait(now, timer.due))).collect();
    queue.send_later(&deliveries).await?;
    let fired: Vec<Result<()>> = stream::iter(due)
        .map(|timer| async move { fire(app, &timer.of).await })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    // Behind a page of what was due, there is more of it; what is not due stays in its place.
    if let Some(last) = last.filter(|_| is_all_due) {
        queue.send(&[Message::Timers { partition: partition.to_owned(), after: Some(last) }]).await?;
    }
    fired.into_iter().collect()
}

/// Returns how long it is from `now` until `due`, in whole seconds.
pub(super) fn wait(now: Timestamp, due: Timestamp) -> Duration {
    Duration::from_secs_f64(due.seconds_since(now).max(0.0).ceil())
}

/// Fires the timer of what is under the key `of`; what can't be read is reported and left.
pub(super) async fn fire(app: &App, of: &Key) -> Result<()> {
    match fire_one(app, of).await {
        Err(error @ Error::Unreadable(_)) => {
            unreadable::report(of, &error);
            Ok(())
        }
        fired => fired,
    }
}

async fn fire_one(app: &App, of: &Key) -> Result<()> {
    match Subject::of(of) {
        Some(Subject::Lease(id)) => {
            let now = app.now();
            app.store.release_lease(id, now, app.settings.longest_waits, |lease| lease.expiration > now).await
        }
        Some(Subject::Worker(_)) => app.store.check_worker(of, app.now()).await,
        Some(Subject::CleanupMessage(_)) => cleanups::check(app, of).await,
        Some(Subject::WorkPool(_)) => app.store.check_pool(of, None, app.now()).await,
        Some(Subject::Readiness(_)) => app.store.check_deployment(of, app.now()).await,
        Some(Subject::FlowRun(id)) => leave_current_state(app, id).await,
        Some(Subject::FlowRunWatch(id)) => service_levels::look_at_run(app, id).await,
        Some(Subject::TriggerState(_)) => automations::look::look(app, of).await,
        Some(Subject::FlowRunPulse(id)) => heartbeats::look(app, id).await,
        Some(Subject::DeploymentWatch(id)) => service_levels::look_at_deployment(app, id).await,
        // A step at a time; what is left when this worker ends is found again by the timer, which is still there.
        Some(Subject::WorkQueue(_)) => {
            while app.store.check_queue(of, app.now()).await? {}
            Ok(())
        }
        _ => leave_state(app, of).await,
    }
}

/// Acts on the flow run `id`, whose state has a timer or has made it late, and takes the timer off; a run that has left
/// the state has none.
async fn leave_current_state(app: &App, id: FlowRunId) -> Result<()> {
    let Some(run) = app.store.flow_run(id).await?.map(|run| run.record) else { return Ok(()) };
    let (Some(entered), now) = (run.state, app.now()) else { return Ok(()) };
    let has_timer = run.past.due.is_some();
    if !run.past.due.map_or_else(|| is_late(&entered, &app.settings, now), |due| due <= now) {
        return Ok(());
    }
    match act(app, id, &entered).await {
        Ok(()) | Err(Error::NoSuchRun(_) | Error::Conflict(_)) if !has_timer => Ok(()),
        Ok(()) | Err(Error::NoSuchRun(_) | Error::Conflict(_)) => app.store.clear_run_timer(id, entered.id).await,
        Err(error) => Err(error),
    }
}

/// Acts on the flow run that is still in the state under the key `state`, and takes the timer off.
async fn leave_state(app: &App, state: &Key) -> Result<()> {
    let Some((run, entered)) = app.store.timed_state(state).await? else { return Ok(()) };
    match act(app, run, &entered).await {
        // The run is gone, or has left the state.
        Ok(()) | Err(Error::NoSuchRun(_) | Error::Conflict(_)) => app.store.clear_timer(state, entered).await,
        Err(error) => Err(error),
    }
}

async fn act(app: &App, run: FlowRunId, state: &State) -> Result<()> {
    let (r#type, message, force) = match state.r#type {
        StateType::Scheduled => {
            transitions::mark_late(app, run, state.id, state.state_details.scheduled_time).await?;
            return Ok(());
        }
        StateType::Paused => (StateType::Failed, "The flow was paused and never resumed.", true),
        StateType::Cancelling => {
            (StateType::Cancelled, "Flow run cancellation timed out; marked this flow run as Cancelled.", false)
        }
        _ => return Ok(()),
    };
    let proposed = serde_json::from_value(json!({ "type": r#type, "message": message }))?;
    let proposal = Proposal { expected: Some(state.id), ..Proposal::new(proposed, force, Client::default()) };
    // A worker tears down what the run leaves behind: asked for in the transaction that ends the run, or not at all.
    let cleanup = match state.r#type {
        StateType::Cancelling => cleanups::of_cancelling_timeout(app, run).await?,
        _ => None,
    };
    let beside: Vec<Write> = cleanup.iter().map(|cleanup| app.store.leave_cleanup(cleanup)).collect::<Result<_>>()?;
    propose_flow_run_state_with(app, run, &proposal, &beside).await?;
    if let Some(cleanup) = cleanup {
        cleanups::tell(app, cleanup.work_pool_id);
    }
    Ok(())
}
