//! Background task runs, handed to workers behind a gateway.
//!
//! A worker is noted under its tasks as long as it is free ([`Interest::in_task`]), and has one run in hand otherwise,
//! or more runs wait than there are workers. Both the place in the queue and the connection are written in the
//! transaction that hands a run out, so a run has one worker, and a worker one run, however many functions look at the
//! same time.
//!
//! Who becomes free is noted first and looks then; who queues a run is followed by the stream's consumer, which reads
//! the notes. So one of the two sees the other.

use std::collections::BTreeSet;

use futures::{StreamExt, future::BoxFuture, stream};

use domain::{
    access::Role,
    interests::{Interest, TASK_WORKERS},
    json,
    model::{Connection, HandedTaskRun, QueuedTaskRun, Subscription, TaskRun, TaskWorkerSubscription, connection_uuid},
};
use error::Result;
use store::Versioned;

use super::{cut, end, largest_message, may_be_told, send};
use crate::{
    App,
    background_tasks::{self, Asking, Offer},
};

/// How many workers are looked after at once.
const AT_ONCE: usize = 32;

/// What handing out runs needs.
const WORKER: Role = Role::Worker;

/// Takes a worker that has just subscribed; returns the first run for it, if there is one.
pub async fn begin(app: &App, found: &Versioned<Connection>) -> Result<Option<String>> {
    if let Some(Subscription::TaskRuns(worker)) = &found.record.subscription {
        app.store.see_task_worker(&worker.client_id, &worker.task_keys, app.now()).await?;
    }
    next(app, found).await
}

/// Notes that the worker has what it was handed; returns the next run for it, if there is one.
pub async fn acknowledge(app: &App, found: &Versioned<Connection>) -> Result<Option<String>> {
    let Some(Subscription::TaskRuns(worker)) = &found.record.subscription else { return Ok(None) };
    app.store.see_task_worker(&worker.client_id, &worker.task_keys, app.now()).await?;
    let Some(HandedTaskRun { queued, version }) = &worker.handed else { return Ok(None) };
    let handed = queued.handed.clone().map(|mut handed| {
        (handed.acknowledged, handed.at) = (true, app.now());
        handed
    });
    let taken = app.store.queued_task_run_change(&QueuedTaskRun { handed, ..queued.clone() }, *version)?;
    let free = with_hand(&found.record, worker, None);
    // Where the place has changed, the run has gone on.
    let is_done = app.store.change_connection(&free, found.version, vec![taken]).await?
        || app.store.change_connection(&free, found.version, Vec::new()).await?;
    if !is_done {
        return Ok(None);
    }
    next(app, &Versioned { record: free, version: found.version + 1 }).await
}

/// Hands the worker of a connection its next run; notes the worker as free if there is none.
async fn next(app: &App, found: &Versioned<Connection>) -> Result<Option<String>> {
    if let Some(text) = hand(app, found).await? {
        return Ok(Some(text));
    }
    let Some(Subscription::TaskRuns(worker)) = &found.record.subscription else { return Ok(None) };
    let interests = interests_of(worker);
    app.store.list(&found.record, &interests).await?;
    // What was queued before the note was written has been told to nobody.
    let text = hand(app, found).await?;
    if text.is_some() {
        app.store.unlist(&found.record.id, &interests).await?;
    }
    Ok(text)
}

/// Hands the worker of a connection a run, if the worker has none in hand; returns the text to send.
async fn hand(app: &App, found: &Versioned<Connection>) -> Result<Option<String>> {
    let Some(Subscription::TaskRuns(worker)) = &found.record.subscription else { return Ok(None) };
    if worker.handed.is_some() {
        return Ok(None);
    }
    let id = &found.record.id;
    let asking = Asking {
        client_id: worker.client_id.clone(),
        task_keys: worker.task_keys.clone(),
        connection: connection_uuid(id),
        gateway: Some(id.clone()),
    };
    while let Some(Offer { run, queued: Versioned { record, version } }) = background_tasks::offer(app, &asking).await?
    {
        let Some(text) = text_of(&run, largest_message(id)) else { return Ok(None) };
        let place = app.store.queued_task_run_change(&record, version)?;
        let handed = HandedTaskRun { queued: record, version: version + 1 };
        let busy = with_hand(&found.record, worker, Some(handed));
        if app.store.change_connection(&busy, found.version, vec![place]).await? {
            return Ok(Some(text));
        }
        let now = app.store.connection(id).await?;
        if now.is_none_or(|now| now.version != found.version) {
            // The worker was handed a run by another function, or is gone.
            return Ok(None);
        }
    }
    Ok(None)
}

/// Writes the message that hands a run out; one of more than `largest` bytes goes without what the run's inputs came
/// from.
fn text_of(run: &TaskRun, largest: usize) -> Option<String> {
    let text = json::to_string(run).ok().filter(|text| text.len() <= largest);
    text.or_else(|| {
        tracing::warn!(id = %run.id, "a task run goes without its inputs, for it is too large for a websocket");
        let mut short = serde_json::to_value(run).ok()?;
        short["task_inputs"] = serde_json::json!({});
        json::to_string(&short).ok().filter(|text| text.len() <= largest)
    })
    .or_else(|| {
        tracing::error!(id = %run.id, "a task run can't be handed out, for it is too large for a websocket");
        None
    })
}

/// Returns what a worker is noted under while it is free.
pub(super) fn interests_of(worker: &TaskWorkerSubscription) -> Vec<Interest> {
    worker.task_keys.iter().map(|key| Interest::in_task(key)).collect()
}

fn with_hand(connection: &Connection, worker: &TaskWorkerSubscription, handed: Option<HandedTaskRun>) -> Connection {
    let subscription = Subscription::TaskRuns(TaskWorkerSubscription { handed, ..worker.clone() });
    Connection { subscription: Some(subscription), ..connection.clone() }
}

/// Hands runs of the tasks to workers that are free, as long as there are both.
///
/// # Errors
/// [`error::Error::Unavailable`] if the table can't be reached.
pub async fn hand_out(app: &App, task_keys: &BTreeSet<&str>) -> Result<()> {
    if app.connections.is_none() {
        return Ok(());
    }
    for task_key in task_keys {
        for listener in app.store.listeners(&Interest::in_task(task_key)).await? {
            let Some(found) = app.store.connection(&listener.connection).await? else {
                app.store.unlist(&listener.connection, &[Interest::in_task(task_key)]).await?;
                continue;
            };
            if !hand_out_to(app, &found).await? {
                break;
            }
        }
    }
    Ok(())
}

/// Hands a run to a worker that was noted as free; returns whether there may be more runs.
async fn hand_out_to(app: &App, found: &Versioned<Connection>) -> Result<bool> {
    let Some(Subscription::TaskRuns(worker)) = &found.record.subscription else { return Ok(true) };
    if !may_be_told(app, found.record.key, WORKER).await? {
        return cut(app, &found.record.id).await.map(|()| true);
    }
    let is_free = worker.handed.is_none();
    let text = hand(app, found).await?;
    if text.is_none() && is_free {
        return Ok(false);
    }
    app.store.unlist(&found.record.id, &interests_of(worker)).await?;
    if let Some(text) = text {
        // A worker that is gone gives the run back.
        send(app, &found.record.id, &text).await?;
    }
    Ok(true)
}

/// Gives back what a worker has in hand whose connection is over, and forgets the worker.
pub(super) async fn leave(app: &App, worker: &TaskWorkerSubscription) -> Result<()> {
    if let Some(HandedTaskRun { queued, version }) = &worker.handed {
        // Where the place has changed, the run has gone on. The stream's consumer hands it out again.
        app.store.change_queued_task_run(&QueuedTaskRun { handed: None, ..queued.clone() }, *version).await?;
    }
    app.store.forget_task_worker(&worker.client_id).await
}

/// Looks after all workers: notes those that are there, ends what is over, and hands out what nobody has begun.
///
/// # Errors
/// The first failure of the table or the gateway, after all workers were looked after.
pub fn look_after(app: &App) -> BoxFuture<'_, Result<()>> {
    Box::pin(look_after_workers(app))
}

async fn look_after_workers(app: &App) -> Result<()> {
    let Some(connections) = &app.connections else { return Ok(()) };
    let listeners = app.store.listeners_in(TASK_WORKERS).await?;
    let seen = stream::iter(listeners.clone()).map(|listener| async move {
        if !connections.gateway.holds(&listener.connection).await? {
            return end(app, &listener.connection).await;
        }
        let Some(found) = app.store.connection(&listener.connection).await? else { return Ok(()) };
        let Some(Subscription::TaskRuns(worker)) = &found.record.subscription else { return Ok(()) };
        app.store.see_task_worker(&worker.client_id, &worker.task_keys, app.now()).await?;
        if worker.handed.is_none() {
            // Two functions may have come so close that a worker is free and not noted.
            app.store.list(&found.record, &interests_of(worker)).await?;
        }
        Ok(())
    });
    let seen: Vec<Result<()>> = seen.buffer_unordered(AT_ONCE).collect().await;
    let keys: BTreeSet<&str> = listeners.iter().flat_map(|listener| keys_of(&listener.subscription)).collect();
    hand_out(app, &keys).await?;
    seen.into_iter().collect()
}

fn keys_of(subscription: &Subscription) -> impl Iterator<Item = &str> {
    let keys = match subscription {
        Subscription::TaskRuns(worker) => worker.task_keys.as_slice(),
        _ => &[],
    };
    keys.iter().map(String::as_str)
}
