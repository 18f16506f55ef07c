//! `/task_runs/subscriptions/scheduled`: a worker that is handed background task runs.

use std::time::Duration;

use axum::extract::ws::Message;
use common::{
    access::Caller,
    background_tasks::{self, Asking, HandedRun},
    domain::{access::Role, json},
    socket::task_subscription::{
        self, Acknowledgement, EXPECTED_SUBSCRIBE, PROTOCOL_VIOLATION, Refusal, TaskSubscription,
    },
};
use tokio::time::{Instant, Interval, interval_at, sleep};

use super::{Client, Connection};

/// What running tasks needs.
pub(super) const REQUIRED: Role = Role::Worker;

/// The closing code of a connection that ends as it should (RFC 6455, 7.4.1).
const NORMAL: u16 = 1000;

/// How long a worker waits until its queues are looked at, though nobody said that anything came: what others were handed and
/// have not begun is free after a while.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl Client {
    /// Hands a worker the runs of its tasks, one after the other, until it leaves.
    pub(super) async fn hand_out_task_runs(mut self, caller: Caller) {
        let Some(TaskSubscription { keys, client_id }) = self.task_subscription().await else { return };
        let connected = self.app.live.connect();
        let asking = Asking { client_id, task_keys: keys, connection: connected.id(), gateway: None };
        self.serve_worker(caller, &asking).await;
        if let Err(error) = self.app.store.forget_task_worker(&asking.client_id).await {
            tracing::warn!(%error, "a task worker that has left is not forgotten at once");
        }
    }

    async fn task_subscription(&mut self) -> Option<TaskSubscription> {
        let text = self.first_message(PROTOCOL_VIOLATION, EXPECTED_SUBSCRIBE).await?;
        self.meter.worked_off();
        match task_subscription::read(&text) {
            Ok(subscription) => Some(subscription),
            Err(Refusal::Closed(reason)) => {
                self.close(PROTOCOL_VIOLATION, reason).await;
                None
            }
            Err(Refusal::Senseless) => None,
        }
    }

    async fn serve_worker(&mut self, caller: Caller, asking: &Asking) {
        let every = self.app.settings.limits.ping_interval;
        let mut ticks = interval_at(Instant::now(), every);
        let mut queued = self.app.live.queued_tasks();
        loop {
            queued.mark_unchanged();
            let connection = match background_tasks::take(&self.app, asking).await {
                Ok(Some(handed)) => self.hand_out(caller, asking, &mut ticks, &handed).await,
                Ok(None) => tokio::select! {
                    received = self.socket.recv() => self.heard(received.as_ref()),
                    _ = queued.changed() => Connection::Open,
                    () = sleep(LOOK_AGAIN) => Connection::Open,
                    _ = ticks.tick() => self.is_well(caller, asking).await,
                },
                Err(error) => {
                    tracing::error!(%error, "a websocket is dropped, because its task runs can't be read");
                    Connection::Over
                }
            };
            if connection == Connection::Over {
                return;
            }
        }
    }

    /// Sends a run, and waits for as long as the worker is there until it has it.
    async fn hand_out(
        &mut self,
        caller: Caller,
        asking: &Asking,
        ticks: &mut Interval,
        handed: &HandedRun,
    ) -> Connection {
        let answer = match json::to_string(&handed.run) {
            Ok(text) => match self.socket.send(Message::Text(text.into())).await {
                Ok(()) => self.acknowledgement(caller, asking, ticks).await,
                Err(_) => None,
            },
            Err(error) => {
                tracing::error!(%error, id = %handed.run.id, "a task run can't be handed out");
                None
            }
        };
        let done = match answer {
            Some(Acknowledgement::Taken) => background_tasks::acknowledge(&self.app, handed).await,
            Some(Acknowledgement::Left | Acknowledgement::Violation) | None => {
                background_tasks::give_back(&self.app, handed).await
            }
        };
        if let Err(error) = &done {
            tracing::error!(%error, id = %handed.run.id, "a websocket is dropped, because its task run can't be noted");
        }
        match answer {
            Some(Acknowledgement::Taken) if done.is_ok() => return Connection::Open,
            Some(Acknowledgement::Left) => self.close(NORMAL, "").await,
            _ => {}
        }
        Connection::Over
    }

    /// Returns what the worker says of the run that it was sent; none if it is gone.
    async fn acknowledgement(
        &mut self,
        caller: Caller,
        asking: &Asking,
        ticks: &mut Interval,
    ) -> Option<Acknowledgement> {
        loop {
            tokio::select! {
                received = self.socket.recv() => {
                    let said = match &received {
                        Some(Ok(Message::Text(text))) => Some(task_subscription::acknowledgement(text)),
                        _ => None,
                    };
                    if self.heard(received.as_ref()) == Connection::Over {
                        return None;
                    }
                    if said.is_some() {
                        return said;
                    }
                }
                _ = ticks.tick() => {
                    if self.is_well(caller, asking).await == Connection::Over {
                        return None;
                    }
                }
            }
        }
    }

    /// Sees to it that the worker is known, that its key still holds, and that it is there.
    async fn is_well(&mut self, caller: Caller, asking: &Asking) -> Connection {
        if self.may_go_on(caller, REQUIRED).await == Connection::Over {
            return Connection::Over;
        }
        let app = &self.app;
        if let Err(error) = app.store.see_task_worker(&asking.client_id, &asking.task_keys, app.now()).await {
            tracing::error!(%error, "a websocket is dropped, because its worker can't be noted");
            return Connection::Over;
        }
        self.ping().await
    }
}
