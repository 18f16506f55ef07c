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
}

/// A run that was handed to a worker.
#[derive(Debug)]
pub struct HandedRun {
    /// The run.
    pub run: TaskRun,
    queued: Versioned<QueuedTaskRun>,
}

/// Hands the worker the next run of one of its tasks, in the order of its keys; none if there is none.
pub async fn take(app: &App, asking: &Asking) -> Result<Option<HandedRun>> {
    for task_key in &asking.task_keys {
        loop {
            let is_connected = |connection| app.live.is_connected(connection);
            let found = app.store.first_queued_task_run(task_key, app.now(), is_connected).await?;
            let Some((Versioned { record, version }, run)) = found else { break };
            let handed = Handed {
                client_id: asking.client_id.clone(),
                connection: asking.connection,
                at: app.now(),
                acknowledged: false,
            };
            let record = QueuedTaskRun { handed: Some(handed), ..record };
            if app.store.change_queued_task_run(&record, version).await? {
                let run = run.with_estimates(app.now());
                return Ok(Some(HandedRun { run, queued: Versioned { record, version: version + 1 } }));
            }
        }
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
