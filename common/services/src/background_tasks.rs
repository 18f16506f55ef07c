//! Background task runs: handed to one worker each, and to another one if that does not begin it.
//!
//! A run waits in the queue of its task, in the table, from the write that schedules it until it has left that state. So what
//! waits outlives the server, and it is handed to whoever asks for its task, the oldest first. A run that is handed counts as
//! taken while the connection is there that it was handed through; once acknowledged, while its worker is there.

use domain::model::{Handed, QueuedTaskRun, TaskRun};
use error::Result;
use store::Versioned;
use uuid::Uuid;

use crate::App;

/// A worker that asks for runs, through one connection.
#[derive(Clone, Debug)]
pub struct Asking {
    /// What the worker calls itself.
    pub client_id: String,
    /// The keys of its tasks.
    pub task_keys: Vec<String>,
    /// The connection, by which this process knows whether it is there ([`crate::live::Live::connect`]).
    pub connection: Uuid,
    /// The connection's id where a gateway holds it.
    pub gateway: Option<String>,
}

/// A run that was handed to a worker.
#[derive(Debug)]
pub struct HandedRun {
    /// The run.
    pub run: TaskRun,
    queued: Versioned<QueuedTaskRun>,
}

/// A run that a worker may be handed, and how its place in the queue is written then.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) run: TaskRun,
    /// The place, with the worker noted, and the version that it has before.
    pub(crate) queued: Versioned<QueuedTaskRun>,
}

/// Hands the worker the next run of one of its tasks, in the order of its keys; none if there is none.
pub async fn take(app: &App, asking: &Asking) -> Result<Option<HandedRun>> {
    while let Some(Offer { run, queued: Versioned { record, version } }) = offer(app, asking).await? {
        if app.store.change_queued_task_run(&record, version).await? {
            return Ok(Some(HandedRun { run, queued: Versioned { record, version: version + 1 } }));
        }
    }
    Ok(None)
}

/// Finds the next run of one of the worker's tasks, in the order of its keys.
pub(crate) async fn offer(app: &App, asking: &Asking) -> Result<Option<Offer>> {
    for task_key in &asking.task_keys {
        let is_connected = |connection| app.live.is_connected(connection);
        let found = app.store.first_queued_task_run(task_key, app.now(), is_connected).await?;
        let Some((Versioned { record, version }, run)) = found else { continue };
        let handed = Handed {
            client_id: asking.client_id.clone(),
            connection: asking.connection,
            at: app.now(),
            acknowledged: false,
            gateway: asking.gateway.clone(),
        };
        let record = QueuedTaskRun { handed: Some(handed), ..record };
        return Ok(Some(Offer { run: run.with_estimates(app.now()), queued: Versioned { record, version } }));
    }
    Ok(None)
}

/// Notes that the worker has a run that it was handed.
pub async fn acknowledge(app: &App, handed: &HandedRun) -> Result<()> {
    let Versioned { record, version } = &handed.queued;
    let to = record.handed.clone().map(|handed| Handed { acknowledged: true, at: app.now(), ..handed });
    // Where it has changed, the run has gone on.
    app.store.change_queued_task_run(&QueuedTaskRun { handed: to, ..record.clone() }, *version).await.map(|_| ())
}

/// Puts a run back for others that was handed and not acknowledged.
pub async fn give_back(app: &App, handed: &HandedRun) -> Result<()> {
    let Versioned { record, version } = &handed.queued;
    app.store.change_queued_task_run(&QueuedTaskRun { handed: None, ..record.clone() }, *version).await?;
    app.live.tell_of_queued_tasks();
    Ok(())
}
