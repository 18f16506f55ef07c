//! A channel that is open: what is answered to a worker's frames, and what it is told.

use domain::model::{
    CleanupMessage, Reservation, Timestamp, WorkPool, WorkPoolId, WorkQueue,
    work_pool::{FOR_AGENTS, StoredWorkPool},
};
use error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use services::{
    App,
    cleanups::{self, Asking, Operation, Outcome},
    live::{PoolChange, WorkerChannel},
};
use store::{Versioned, occupancy::Holders, workers::Heartbeat};
use uuid::Uuid;

use super::{
    CloseReason,
    frame::{self, CleanupOperation, Frame, Hello, Refused, WorkerHeartbeat},
};

/// What a channel is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    pool: WorkPoolId,
    pool_name: String,
    consumer: Uuid,
    worker: String,
    /// The version of the pool that the worker was told of last, and when it had been changed.
    told: (u64, Timestamp),
    next_snapshot: u64,
    cleanup: Option<CleanupDelivery>,
}

/// How a worker is asked to clean up.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct CleanupDelivery {
    asking: Asking,
    at_once: usize,
    /// What it has at present.
    reserved: Vec<Reservation>,
}

/// What follows from a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// The worker hears nothing.
    Nothing,
    /// The worker is sent this frame.
    Reply(String),
    /// The worker is told of its pool soon, for it has changed unnoticed.
    Reconcile,
    /// The channel closes.
    Close(CloseReason),
}

/// Why a snapshot of a pool is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The pool was changed.
    Updated,
    /// A heartbeat has found the pool changed.
    Heartbeat,
}

impl Occasion {
    fn reason(self) -> &'static str {
        match self {
            Self::Updated => "work_pool_updated",
            Self::Heartbeat => "heartbeat_reconciliation",
        }
    }
}

impl Session {
    /// Begins the session of a worker that polls `queues` and was sent `pool` first.
    pub(super) async fn new(
        app: &App,
        pool_name: &str,
        hello: &Hello,
        queues: &[WorkQueue],
        pool: &Versioned<StoredWorkPool>,
    ) -> Result<Self> {
        let mut cleanup = None;
        if hello.cleans_up() {
            let asking = Asking {
                pool: pool.record.pool.id,
                consumer: hello.consumer_id,
                kinds: hello.handled_cleanup_kinds.clone(),
                queues: queues.iter().map(|queue| queue.id).collect(),
            };
            // What it was delivered over another connection, or by another server, it still has.
            let reserved = cleanups::reserved_by(app, &asking).await?;
            let at_once = usize::try_from(hello.max_cleanup_concurrency).unwrap_or(usize::MAX);
            cleanup = Some(CleanupDelivery { asking, at_once, reserved });
        }
        Ok(Self {
            pool: pool.record.pool.id,
            pool_name: pool_name.to_owned(),
            consumer: hello.consumer_id,
            worker: hello.worker_name.clone(),
            told: (pool.version, pool.record.pool.updated),
            next_snapshot: 2,
            cleanup,
        })
    }

    /// Tells whether the worker may be asked to clean up at all.
    pub fn cleans_up(&self) -> bool {
        self.cleanup.is_some()
    }

    /// Returns the pool that the channel is about.
    pub fn pool(&self) -> WorkPoolId {
        self.pool
    }

    /// Reads anew which cleanups the worker has, where others may have asked it too.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refresh(&mut self, app: &App) -> Result<()> {
        if let Some(cleanup) = &mut self.cleanup {
            cleanup.reserved = cleanups::reserved_by(app, &cleanup.asking).await?;
        }
        Ok(())
    }

    /// Takes a frame of the worker.
    pub async fn receive(&mut self, app: &App, text: &str) -> Reaction {
        match Frame::read(text) {
            Some(Frame::Heartbeat(heartbeat)) => self.take_heartbeat(app, &heartbeat).await,
            Some(Frame::Cleanup(operation)) => self.take_operation(app, &operation).await,
            Some(Frame::Hello(_)) | None => Reaction::Close(CloseReason::ProtocolError),
        }
    }

    async fn take_heartbeat(&self, app: &App, heartbeat: &WorkerHeartbeat) -> Reaction {
        if heartbeat.consumer_id != self.consumer || heartbeat.worker_name != self.worker {
            return Reaction::Close(CloseReason::ProtocolError);
        }
        let sign = Heartbeat::new(&heartbeat.worker_name, Some(heartbeat.heartbeat_interval_seconds));
        match app.store.record_heartbeat(&self.pool_name, &sign, app.now()).await {
            Ok(pool) if pool.record.pool.updated == self.told.1 => Reaction::Nothing,
            Ok(_) => Reaction::Reconcile,
            Err(error) => {
                tracing::error!(%error, pool = self.pool_name, "a worker's heartbeat can't be written");
                Reaction::Close(CloseReason::HeartbeatPersistenceFailed)
            }
        }
    }

    async fn take_operation(&mut self, app: &App, of: &CleanupOperation) -> Reaction {
        let outcome = if self.cleanup.is_some() {
            let done = cleanups::carry_out(app, self.pool, of.message, &of.token, &of.operation).await;
            done.map_err(|error| {
                tracing::error!(%error, "what a worker does with a cleanup can't be written");
                Refused::Failed
            })
        } else {
            Err(Refused::NotAccepted)
        };
        match (&outcome, &of.operation) {
            (Ok(Outcome::Accepted(Some(expires))), Operation::Renew) => self.note_renewed(&of.token, *expires),
            (Ok(_), _) => self.forget(&of.token),
            (Err(_), _) => {}
        }
        match frame::write("cleanup.operation_result.v1", &frame::operation_result(of, outcome), app.now()) {
            Ok(text) => Reaction::Reply(text),
            Err(error) => {
                tracing::error!(%error, "an answer can't be written");
                Reaction::Close(CloseReason::TransientServerError)
            }
        }
    }

    fn note_renewed(&mut self, token: &str, expires: Timestamp) {
        let reserved = self.cleanup.iter_mut().flat_map(|cleanup| &mut cleanup.reserved);
        for reservation in reserved.filter(|reservation| reservation.token == token) {
            reservation.lease_expires = expires;
        }
    }

    fn forget(&mut self, token: &str) {
        if let Some(cleanup) = &mut self.cleanup {
            cleanup.reserved.retain(|reservation| reservation.token != token);
        }
    }

    /// Tells whether the worker has yet to be told of `change`, or was told of what came later.
    pub fn is_news(&self, change: PoolChange) -> bool {
        match change {
            PoolChange::Changed(version) => version > self.told.0,
            PoolChange::Deleted => true,
        }
    }

    /// Returns the frame that tells the worker how its pool is by now.
    ///
    /// # Errors
    /// How the channel closes: the pool is gone, or can't be read.
    pub async fn snapshot(&mut self, app: &App, occasion: Occasion) -> Result<String, CloseReason> {
        let failed = |error: Error| {
            tracing::error!(%error, "a worker can't be told of its pool");
            CloseReason::TransientServerError
        };
        let read = snapshot(app, self.pool, self.next_snapshot, occasion.reason()).await.map_err(failed)?;
        let (payload, pool) = read.ok_or(CloseReason::AuthorizationFailed)?;
        self.told = (pool.version, pool.record.pool.updated);
        self.next_snapshot += 1;
        frame::write("work_pool.snapshot.v1", &payload, app.now()).map_err(|error| failed(error.into()))
    }

    /// Takes a cleanup for the worker if there is one and it takes another; returns it with the frame that asks for it.
    ///
    /// The workers of one process are asked by turns, each by its `channel`; one without a channel has no turn to wait
    /// for.
    pub async fn next_cleanup(
        &mut self,
        app: &App,
        channel: Option<&WorkerChannel>,
    ) -> Result<Option<(CleanupMessage, String)>> {
        let Some(cleanup) = &mut self.cleanup else { return Ok(None) };
        let now = app.now();
        cleanup.reserved.retain(|reservation| reservation.lease_expires > now);
        let is_free = cleanup.reserved.len() < cleanup.at_once;
        if let Some(channel) = channel {
            channel.set_free(is_free);
        }
        if !is_free {
            return Ok(None);
        }
        let is_its_turn = |message: &CleanupMessage| channel.is_none_or(|channel| channel.is_its_turn(message));
        let found = cleanups::reserve(app, &cleanup.asking, is_its_turn).await?;
        let Some(message) = found else { return Ok(None) };
        cleanup.reserved.extend(message.reservation.clone());
        if let Some(channel) = channel {
            channel.set_free(cleanup.reserved.len() < cleanup.at_once);
            channel.was_asked();
        }
        let text = frame::write("cleanup.message.v1", &frame::cleanup(&message), now)?;
        Ok(Some((message, text)))
    }

    /// Gives a cleanup back that could not be sent to the worker.
    pub async fn give_back(&mut self, app: &App, message: &CleanupMessage) {
        let Some(Reservation { token, .. }) = &message.reservation else { return };
        self.forget(token);
        let release = Operation::Release("delivery_failed".into());
        if let Err(error) = cleanups::carry_out(app, self.pool, message.id, token, &release).await {
            tracing::warn!(%error, "a cleanup that was not delivered waits until its lease expires");
        }
    }
}

/// A pool as workers are told of it (contract schema `WorkPoolResponse`).
#[derive(Serialize)]
struct Told<'p> {
    #[serde(flatten)]
    pool: &'p WorkPool,
    active_slots: Option<u64>,
}

/// Reads the pool `id`; returns what a worker is told of it, and the pool. None if it is gone.
pub(super) async fn snapshot(
    app: &App,
    id: WorkPoolId,
    sequence: u64,
    reason: &str,
) -> Result<Option<(Value, Versioned<StoredWorkPool>)>> {
    let Some(found) = app.store.work_pool_by_id(id).await? else { return Ok(None) };
    let pool = &found.record.pool;
    let active_slots = match pool.concurrency_limit {
        None => None,
        Some(_) => Some(app.store.occupied_slots(&found.record.queues, Holders::Active).await?.into_values().sum()),
    };
    let status = pool.status.filter(|_| pool.r#type != FOR_AGENTS);
    let told = serde_json::to_value(Told { pool: &WorkPool { status, ..pool.clone() }, active_slots })?;
    let payload = serde_json::json!({ "snapshot_sequence": sequence, "reason": reason, "work_pool": told });
    Ok(Some((payload, found)))
}

#[cfg(test)]
mod tests {
    use access::Caller;
    use embedded::EmbeddedDatabase;
    use serde_json::json;

    use super::{super::open, *};
    use domain::model::Object;
    use settings::Settings;
    use store::Store;

    const CONSUMER: &str = "01a2034c-a60e-77df-8caf-82a280613781";

    fn frame(kind: &str, payload: &Value) -> String {
        json!({"type": kind, "id": CONSUMER, "sent_at": 0, "payload": payload}).to_string()
    }

    fn heartbeat(worker: &str) -> String {
        let payload = json!({"consumer_id": CONSUMER, "worker_name": worker, "heartbeat_interval_seconds": 5});
        frame("worker.heartbeat.v1", &payload)
    }

    fn hello(name: &str) -> String {
        frame(
            "worker.hello.v1",
            &json!({
                "consumer_id": CONSUMER, "worker_name": name, "worker_type": "process", "heartbeat_interval_seconds": 5,
                "supported_channel_versions": [frame::VERSION], "requested_capabilities": frame::REQUIRED,
                "create_pool_if_not_found": true,
            }),
        )
    }

    async fn app() -> App {
        let (config, settings) = (EmbeddedDatabase::in_memory().unwrap().sdk_config(), Settings::default());
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), &settings.table, settings.shards);
        store.create_table().await.unwrap();
        App::new(store, settings)
    }

    #[tokio::test]
    async fn a_worker_is_told_of_its_pool_in_sequence_and_once_of_what_it_knows() {
        let app = app().await;
        let mut session = open(&app, Caller::ANYONE, "p", &hello("w")).await.unwrap().session;
        let first = session.told.0;
        assert_eq!(session.receive(&app, &heartbeat("w")).await, Reaction::Nothing);
        let describe = |pool: &mut StoredWorkPool, _| {
            pool.pool.base_job_template = Object::from_iter([("a".to_owned(), json!(1))]);
            pool.pool.updated = app.now();
            Ok(())
        };
        app.store.update_work_pool("p", |_| false, describe, &[]).await.unwrap();
        assert_eq!(session.receive(&app, &heartbeat("w")).await, Reaction::Reconcile);
        assert!(!session.is_news(PoolChange::Changed(first)) && session.is_news(PoolChange::Changed(first + 1)));

        let told: Value = serde_json::from_str(&session.snapshot(&app, Occasion::Heartbeat).await.unwrap()).unwrap();
        let payload = &told["payload"];
        assert_eq!(
            (&payload["snapshot_sequence"], &payload["reason"]),
            (&json!(2), &json!("heartbeat_reconciliation"))
        );
        assert_eq!(payload["work_pool"]["base_job_template"], json!({"a": 1}));
        assert_eq!(session.receive(&app, &heartbeat("w")).await, Reaction::Nothing);
        assert!(!session.is_news(PoolChange::Changed(first + 1)), "it was told of that");

        app.store.delete_work_pool("p", app.now()).await.unwrap();
        assert!(session.is_news(PoolChange::Deleted));
        assert_eq!(session.snapshot(&app, Occasion::Updated).await, Err(CloseReason::AuthorizationFailed));
        let reaction = session.receive(&app, &heartbeat("w")).await;
        assert_eq!(reaction, Reaction::Close(CloseReason::HeartbeatPersistenceFailed));
    }

    #[tokio::test]
    async fn what_is_against_the_protocol_closes_the_channel() {
        let app = app().await;
        let protocol = CloseReason::ProtocolError;
        assert_eq!(open(&app, Caller::ANYONE, "p", &heartbeat("w")).await.map(drop), Err(protocol));
        let mut session = open(&app, Caller::ANYONE, "p", &hello("w")).await.unwrap().session;
        for text in [heartbeat("another"), hello("w"), "no json".to_owned(), frame("cleanup.ack.v1", &json!({}))] {
            assert_eq!(session.receive(&app, &text).await, Reaction::Close(protocol), "{text}");
        }
        let payload = json!({"message_id": CONSUMER, "reservation_token": "t"});
        let Reaction::Reply(reply) = session.receive(&app, &frame("cleanup.ack.v1", &payload)).await else {
            panic!("an operation has a result")
        };
        assert!(reply.contains("cleanup_delivery_not_accepted"), "{reply}");
    }
}
