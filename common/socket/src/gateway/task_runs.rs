//! `/task_runs/subscriptions/scheduled` behind a gateway: a worker's subscription, and what it says of each run.

use domain::model::{Connection, Subscription, TaskWorkerSubscription};
use error::Result;
use services::{
    App,
    connections::{self, task_runs},
};
use store::Versioned;

use super::Answer;
use crate::task_subscription::{self, Acknowledgement};

/// Takes a message of a worker; what it is answered is the next run.
pub(super) async fn take(app: &App, found: &Versioned<Connection>, message: &str) -> Result<Answer> {
    let next = if found.record.subscription.is_some() {
        match task_subscription::acknowledgement(message) {
            Acknowledgement::Taken => task_runs::acknowledge(app, found).await?,
            Acknowledgement::Left | Acknowledgement::Violation => {
                connections::end(app, &found.record.id).await?;
                return Ok(Answer::HangUp);
            }
        }
    } else {
        let Ok(task_subscription::TaskSubscription { mut keys, client_id }) = task_subscription::read(message) else {
            return Ok(Answer::HangUp);
        };
        keys.sort_unstable();
        keys.dedup();
        let worker = TaskWorkerSubscription { client_id, task_keys: keys, handed: None };
        let subscribed = app.store.subscribe(found, Subscription::TaskRuns(worker)).await?;
        task_runs::begin(app, &subscribed).await?
    };
    Ok(next.map_or(Answer::Nothing, Answer::Reply))
}
