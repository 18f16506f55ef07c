//! Messages for the job runner, made of what was written.

use std::time::Duration;

use super::{Failures, Written};
use domain::model::{Connection, Deployment, DeploymentId, FlowRun, StateType, Timestamp, deployment::VoidRuns};
use error::{Error, Result};
use store::{
    Item,
    bulk_operations::FlowRunPart,
    table::{self, Index, Subject},
    tallies::fill::TallyFill,
};

use crate::{
    App, connections,
    jobs::queue::{Message, Queue},
    service_levels::watches_deployment,
    timers,
};

/// When the children of a cancelled run are looked at once more: the client may have gone on for a moment.
const SECOND_LOOK: Duration = Duration::from_mins(1);

/// Sends the messages that follow from what was `written`; what comes again sends them again.
pub(super) async fn send(app: &App, queue: &Queue, written: &[(usize, Written<'_>)], failures: &mut Failures) {
    let (mut places, mut deliveries) = (Vec::new(), Vec::new());
    for (place, written) in written {
        match messages(app, *written) {
            Ok(messages) if messages.is_empty() => {}
            Ok(messages) => {
                places.push(*place);
                deliveries.extend(messages);
            }
            Err(error) => failures.add(*place, error),
        }
    }
    if deliveries.is_empty() {
        return;
    }
    if let Err(error) = queue.send_later(&deliveries).await {
        failures.add_all(places, &error);
    }
}

fn messages(app: &App, written: Written<'_>) -> Result<Vec<(Message, Duration)>> {
    let item = written.after;
    match Subject::of(&item.key) {
        Some(Subject::BulkPart(_)) => next_step(item),
        Some(Subject::FlowRun(_)) if item.is_announced() => after_transition(app, item),
        Some(Subject::Deployment(id)) => {
            let mut messages = schedules(app, item, id);
            messages.extend(void_runs(written, id)?);
            messages.extend(service_levels(app, item, id)?);
            Ok(messages)
        }
        // It is asked for by a write of its own; that it failed again is another.
        Some(Subject::DeadLetter(letter)) if item.is_announced() => {
            Ok(vec![(Message::Redrive { letter }, Duration::ZERO)])
        }
        Some(Subject::TallyFill) => tally_fill(app, item),
        Some(Subject::Connection) => backfill(app, written),
        Some(Subject::FlowRunWatch(_) | Subject::DeploymentWatch(_) | Subject::TriggerState(_)) => Ok(watch(app, item)),
        _ => Ok(Vec::new()),
    }
}

/// Asks for the next step of an operation's part that is not finished.
fn next_step(item: &Item) -> Result<Vec<(Message, Duration)>> {
    let part: FlowRunPart = item.record()?;
    if part.finished.is_some() {
        return Ok(Vec::new());
    }
    let step = Message::BulkStep { operation: part.operation, part: part.number, step: part.step };
    Ok(vec![(step, Duration::ZERO)])
}

/// Asks for the next step of the count of what was there before tallies.
fn tally_fill(app: &App, item: &Item) -> Result<Vec<(Message, Duration)>> {
    let fill: TallyFill = item.record()?;
    if fill.is_complete() {
        return Ok(Vec::new());
    }
    let wait = fill.due.seconds_since(app.now()).max(0.0).ceil();
    Ok(vec![(Message::TallyFill { step: fill.step }, Duration::from_secs_f64(wait))])
}

/// Has the schedules of a deployment looked at that was made or changed.
fn schedules(app: &App, item: &Item, deployment: DeploymentId) -> Vec<(Message, Duration)> {
    let due = item.index_keys.get(&Index::Related.sort()).and_then(|place| table::time_of(place));
    let is_due = due.is_some_and(|due| due <= app.now());
    if is_due && app.settings.scheduler.enabled {
        vec![(Message::Schedule { deployment }, Duration::ZERO)]
    } else {
        Vec::new()
    }
}

/// Has the runs deleted that a change has made void, if the request that made it has not.
fn void_runs(written: Written<'_>, deployment: DeploymentId) -> Result<Option<(Message, Duration)>> {
    let void = void_runs_of(Some(written.after))?;
    let is_new = void.is_some() && void != void_runs_of(written.before)?;
    Ok(void.filter(|_| is_new).map(|void| (Message::VoidRuns { deployment, void }, Duration::ZERO)))
}

fn void_runs_of(item: Option<&Item>) -> Result<Option<VoidRuns>> {
    // The text tells whether there are any, before the record is read.
    let has_some = |item: &&Item| item.tail.as_deref().is_some_and(|tail| tail.contains("\"void_runs\":"));
    match item.filter(has_some) {
        Some(item) => Ok(item.record::<Deployment>()?.void_runs),
        None => Ok(None),
    }
}

/// Has a deployment looked at whose runs are to keep to an agreement together.
fn service_levels(app: &App, item: &Item, deployment: DeploymentId) -> Result<Option<(Message, Duration)>> {
    // Few have agreements; the text tells which, before the record is read.
    let has_some = item.tail.as_deref().is_some_and(|tail| tail.contains("\"slas\":"));
    let is_watched = has_some && app.settings.event_persister_enabled && watches_deployment(&item.record()?);
    let look = Message::Timer { of: table::deployment_watch(deployment) };
    Ok(is_watched.then_some((look, Duration::ZERO)))
}

/// Has somebody look when a watch is due, if the schedule might find it too late.
fn watch(app: &App, item: &Item) -> Vec<(Message, Duration)> {
    let due = item.index_keys.get(&Index::Related.sort()).and_then(|place| table::time_of(place));
    let wait = due.and_then(|due| soon(app, due));
    wait.map(|wait| (Message::Timer { of: item.key.clone() }, wait)).into_iter().collect()
}

/// Has a client told of what happened before, once it has asked for events.
fn backfill(app: &App, written: Written<'_>) -> Result<Vec<(Message, Duration)>> {
    let subscription = |item: &Item| Ok::<_, Error>(item.record::<Connection>()?.subscription);
    let has_one = written.before.map(subscription).transpose()?.flatten().is_some();
    let connection: Connection = written.after.record()?;
    match &connection.subscription {
        Some(wanted) if !has_one => {
            let deliveries = connections::backfill::looks(wanted).into_iter().map(|(look, due)| {
                let wait = due.seconds_since(app.now()).max(0.0).ceil();
                (Message::Backfill { connection: connection.id.clone(), look }, Duration::from_secs_f64(wait))
            });
            Ok(deliveries.collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn after_transition(app: &App, item: &Item) -> Result<Vec<(Message, Duration)>> {
    // Most states have nothing follow; the text tells which, before the record is read.
    let is_of_interest = |r#type: &str| item.head.as_deref().is_some_and(|head| head.contains(r#type));
    if !["\"PAUSED\"", "\"CANCELLING\"", "\"CANCELLED\""].into_iter().any(is_of_interest) {
        return Ok(Vec::new());
    }
    let run: FlowRun = item.record()?;
    let Some(state) = &run.state else { return Ok(Vec::new()) };
    match state.r#type {
        StateType::Cancelled if app.settings.cancellation_cleanup_enabled => {
            let cancel = Message::CancelChildren { flow_run: run.id };
            Ok(vec![(cancel.clone(), Duration::ZERO), (cancel, SECOND_LOOK)])
        }
        StateType::Paused | StateType::Cancelling => Ok(timers::due(state, &app.settings, app.now())
            .and_then(|due| soon(app, due))
            .map(|wait| {
                let apart = || table::state(&item.key, state.timestamp, state.id);
                (Message::Timer { of: run.past.due.map_or_else(apart, |_| item.key.clone()) }, wait)
            })
            .into_iter()
            .collect()),
        _ => Ok(Vec::new()),
    }
}

/// Returns how long it is until `due`, if the schedule might find it too late.
fn soon(app: &App, due: Timestamp) -> Option<Duration> {
    let wait = due.seconds_since(app.now()).max(0.0).ceil();
    (wait <= app.settings.timers_ahead).then(|| Duration::from_secs_f64(wait))
}
