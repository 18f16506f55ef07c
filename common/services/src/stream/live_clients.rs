//! Tells the clients whose websockets a gateway holds of what was written ([`crate::connections`]).

use std::collections::BTreeSet;

use domain::model::{CleanupMessage, Log, QueuedTaskRun, ReceivedEvent, WorkPoolId};
use error::Result;
use store::{Item, table::Subject};

use super::{Change, Failures, pool_changes};
use crate::{
    App,
    connections::{task_runs, telling},
    live::News,
};

/// What a batch has to tell.
#[derive(Debug, Default)]
struct Told {
    events: Vec<ReceivedEvent>,
    logs: Vec<Log>,
    task_keys: BTreeSet<String>,
    pools: Vec<(WorkPoolId, News)>,
}

/// Tells of `changes`; in a process that reaches no gateway, nobody.
pub(super) async fn tell(app: &App, changes: &[Change], failures: &mut Failures) {
    if app.connections.is_none() {
        return;
    }
    let (mut told, mut places) = (Told::default(), Vec::new());
    for (place, change) in changes.iter().enumerate() {
        match told.take(app, change).await {
            Ok(true) => places.push(place),
            Ok(false) => {}
            Err(error) => failures.add(place, error),
        }
    }
    if let Err(error) = told.tell(app).await {
        failures.add_all(places, &error);
    }
}

impl Told {
    /// Takes what a change tells; returns whether it tells anything.
    async fn take(&mut self, app: &App, change: &Change) -> Result<bool> {
        let Change { key, before, after } = change;
        match (Subject::of(key), before, after) {
            (Some(subject), None, Some(after)) if subject.is_event() => self.events.push(after.record()?),
            (Some(Subject::LogChunk), None, Some(after)) => self.logs.extend(app.store.logs_of_chunk(after).await?),
            (Some(Subject::QueuedTaskRun), before, Some(after)) => {
                let queued: QueuedTaskRun = after.record()?;
                let before = before.as_ref().and_then(Item::readable::<QueuedTaskRun>);
                if queued.handed.is_some() || before.is_some_and(|before| before.handed.is_none()) {
                    return Ok(false);
                }
                self.task_keys.insert(queued.task_key);
            }
            (Some(Subject::WorkPool(pool)), _, _) => match pool_changes::of_pool(change) {
                Some(change) => self.pools.push((pool, News { pool: Some(change), cleanup: false })),
                None => return Ok(false),
            },
            (Some(Subject::CleanupMessage(pool)), _, Some(after)) => {
                if after.record::<CleanupMessage>()?.reservation.is_some() {
                    return Ok(false);
                }
                self.pools.push((pool, News { pool: None, cleanup: true }));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn tell(&self, app: &App) -> Result<()> {
        telling::tell_events(app, &self.events).await?;
        telling::tell_logs(app, &self.logs).await?;
        telling::tell_of_pools(app, &self.pools).await?;
        task_runs::hand_out(app, &self.task_keys.iter().map(String::as_str).collect()).await
    }
}
