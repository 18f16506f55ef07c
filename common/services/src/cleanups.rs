//! Cleanups that workers are asked for over their channels (Prefect's `WorkerCleanupQueue` and `cleanup_reconciler`).
//!
//! A cleanup waits in the table, beside its pool, from the transition that makes it necessary until a worker acknowledges it.
//! It is delivered to one worker at a time, by a conditional write that takes a lease; a worker that dies lets the lease
//! expire, and another one gets it. After the last delivery it becomes a dead letter.

use domain::model::{
    CleanupKind, CleanupMessage, CleanupMessageId, FlowRunId, Object, Reservation, WorkPoolId, WorkQueueId,
};
use error::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{CommitError, Key, Versioned};
use uuid::Uuid;

use crate::{App, dead_letters, jobs::queue::Message};

/// How many cleanups are read at once.
const READ_AT_ONCE: usize = 16;

/// Past how many cleanups nobody looks for one of a worker's own queues, if it may have another one.
const LOOKED_THROUGH: usize = 200;

/// The kinds of pools whose runs no worker starts.
const WITHOUT_WORKERS: [&str; 2] = [":push", ":managed"];

/// A worker that may be asked to clean up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asking {
    /// Its pool.
    pub pool: WorkPoolId,
    /// Its process, over all its connections.
    pub consumer: Uuid,
    /// What it can clean up.
    pub kinds: Vec<CleanupKind>,
    /// Its queues, whose cleanups it gets before others.
    pub queues: Vec<WorkQueueId>,
}

/// What a worker does with a cleanup that it was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is done.
    Acknowledge,
    /// It gives it back, for this reason.
    Release(String),
    /// It needs more time.
    Renew,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out; a renewed lease holds until then.
    Accepted(Option<domain::model::Timestamp>),
    /// There is no such cleanup: it was acknowledged, or is a dead letter.
    NotFound,
    /// Nobody has the cleanup.
    NotReserved,
    /// Somebody else has the cleanup.
    OtherToken,
    /// The lease has expired, and others may have the cleanup.
    Expired,
    /// This was the last delivery.
    DeadLettered,
}

/// Returns the cleanup of the infrastructure of the flow run `id`, whose cancellation took too long; none if no worker has any.
pub async fn of_cancelling_timeout(app: &App, id: FlowRunId) -> Result<Option<CleanupMessage>> {
    let Some(run) = app.store.flow_run(id).await?.map(|found| found.record) else { return Ok(None) };
    let Some(queue) = run.work_queue_id else { return Ok(None) };
    let Some(queue) = app.store.work_queue(queue).await?.map(|found| found.record) else { return Ok(None) };
    if WITHOUT_WORKERS.iter().any(|suffix| queue.pool.r#type.ends_with(suffix)) {
        return Ok(None);
    }
    let target = [("flow_run_id", json!(id)), ("infrastructure_pid", json!(run.infrastructure_pid))];
    Ok(Some(CleanupMessage {
        id: CleanupMessageId::new(),
        work_pool_id: queue.pool.id,
        work_queue_id: Some(queue.queue.id),
        kind: CleanupKind::CancellingTimeoutTeardown,
        target: target.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<Object>(),
        created: app.now(),
        delivery_count: 0,
        reservation: None,
        check: None,
    }))
}

/// Gives the worker a cleanup of which `is_its_turn` says that it may have it, the oldest of its queues first.
pub async fn reserve(
    app: &App,
    asking: &Asking,
    is_its_turn: impl Fn(&CleanupMessage) -> bool,
) -> Result<Option<CleanupMessage>> {
    loop {
        let Some(Versioned { record, version }) = first_free(app, asking, &is_its_turn).await? else {
            return Ok(None);
        };
        let reserved = CleanupMessage {
            delivery_count: record.delivery_count + 1,
            ..leased(app, record, app.store.reservation_token()?, asking.consumer)
        };
        if app.store.change_cleanup(&reserved, version).await? {
            return Ok(Some(reserved));
        }
    }
}

/// Returns the cleanups that the worker has at present.
pub async fn reserved_by(app: &App, asking: &Asking) -> Result<Vec<Reservation>> {
    let (mut reserved, now) = (Vec::new(), app.now());
    let mut reader = app.store.cleanups(asking.pool, READ_AT_ONCE);
    while let Some(items) = reader.more().await? {
        let found = items.iter().filter_map(store::Item::readable::<CleanupMessage>);
        let found = found.filter_map(|message| message.reserved_at(now).cloned());
        reserved.extend(found.filter(|reservation| reservation.consumer == asking.consumer));
    }
    Ok(reserved)
}

/// Carries out what a worker of `pool` does with the cleanup `id`, for which it shows `token`.
pub async fn carry_out(
    app: &App,
    pool: WorkPoolId,
    id: CleanupMessageId,
    token: &str,
    operation: &Operation,
) -> Result<Outcome> {
    loop {
        let Some(found) = app.store.cleanup(pool, id).await? else { return Ok(Outcome::NotFound) };
        let Some(reservation) = &found.record.reservation else { return Ok(Outcome::NotReserved) };
        if reservation.token != token {
            return Ok(Outcome::OtherToken);
        }
        let written = if reservation.lease_expires <= app.now() {
            free(app, &found, None).await?.map(|freed| match freed {
                Freed::Waits => Outcome::Expired,
                Freed::DeadLettered => Outcome::DeadLettered,
            })
        } else {
            match operation {
                Operation::Acknowledge => app.store.delete_cleanup(&found).await?.then_some(Outcome::Accepted(None)),
                Operation::Release(reason) => free(app, &found, Some(reason)).await?.map(|freed| match freed {
                    Freed::Waits => Outcome::Accepted(None),
                    Freed::DeadLettered => Outcome::DeadLettered,
                }),
                Operation::Renew => {
                    let renewed = leased(app, found.record.clone(), token.to_owned(), reservation.consumer);
                    let expires = renewed.reservation.as_ref().map(|reservation| reservation.lease_expires);
                    app.store.change_cleanup(&renewed, found.version).await?.then_some(Outcome::Accepted(expires))
                }
            }
        };
        // Another one has changed it meanwhile; perhaps it was this write, and its answer was lost.
        if let Some(outcome) = written {
            return Ok(outcome);
        }
    }
}

/// Frees the cleanup under `key` if its lease has expired, for another worker or as a dead letter.
pub(crate) async fn check(app: &App, key: &Key) -> Result<()> {
    loop {
        let Some(found) = app.store.get::<CleanupMessage>(key).await? else { return Ok(()) };
        let now = app.now();
        if found.record.check.is_none_or(|check| check > now) || found.record.reserved_at(now).is_some() {
            return Ok(());
        }
        if free(app, &found, None).await?.is_some() {
            return Ok(());
        }
    }
}

/// Has the workers asked anew for a cleanup that was a dead letter.
pub(crate) async fn deliver_anew(app: &App, message: &CleanupMessage) -> Result<()> {
    if app.store.work_pool_by_id(message.work_pool_id).await?.is_none() {
        return Ok(());
    }
    let message = CleanupMessage { delivery_count: 0, reservation: None, check: None, ..message.clone() };
    match app.store.commit(vec![app.store.leave_cleanup(&message)?]).await {
        Ok(()) => tell(app, message.work_pool_id),
        // It waits already.
        Err(CommitError::ConditionFailed(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Has the workers of `pool` that are connected look for cleanups.
pub fn tell(app: &App, pool: WorkPoolId) {
    app.live.worker_channels.tell_of_cleanups(pool);
}

/// What became of a cleanup that nobody has any more.
#[derive(Clone, Copy, Debug)]
enum Freed {
    Waits,
    DeadLettered,
}

/// Frees a cleanup, for the `reason` that its worker gave if it was the worker; none if it has changed meanwhile.
async fn free(app: &App, found: &Versioned<CleanupMessage>, reason: Option<&str>) -> Result<Option<Freed>> {
    let message = CleanupMessage { reservation: None, check: None, ..found.record.clone() };
    let pool = message.work_pool_id;
    if message.delivery_count >= app.settings.worker_channel.cleanup_deliveries {
        // It is put aside first: who dies in between finds both, and puts the same letter aside again.
        let last = reason.unwrap_or("no worker acknowledged it in time");
        let reason = format!("a cleanup was delivered {} times; the last time: {last}", message.delivery_count);
        dead_letters::put_message_aside(app, &Message::Cleanup { message: Box::new(message) }, &reason).await?;
        return Ok(app.store.delete_cleanup(found).await?.then_some(Freed::DeadLettered));
    }
    let is_freed = app.store.change_cleanup(&message, found.version).await?;
    if is_freed {
        tell(app, pool);
    }
    Ok(is_freed.then_some(Freed::Waits))
}

/// Returns `message` with a new lease of `consumer`.
fn leased(app: &App, message: CleanupMessage, token: String, consumer: Uuid) -> CleanupMessage {
    let settings = app.settings.worker_channel;
    let lease_expires = app.now().plus_seconds(settings.cleanup_lease);
    let check = settings.expires_leases.then_some(lease_expires);
    CleanupMessage { reservation: Some(Reservation { token, lease_expires, consumer }), check, ..message }
}

/// Returns the first cleanup that the worker may have; those delivered too often are put aside on the way.
async fn first_free(
    app: &App,
    asking: &Asking,
    is_its_turn: &impl Fn(&CleanupMessage) -> bool,
) -> Result<Option<Versioned<CleanupMessage>>> {
    let (mut other, mut seen, now) = (None, 0, app.now());
    let mut reader = app.store.cleanups(asking.pool, READ_AT_ONCE);
    while let Some(items) = reader.more().await? {
        seen += items.len();
        for item in items {
            let Some(record) = item.readable::<CleanupMessage>() else { continue };
            if record.reserved_at(now).is_some() {
                continue;
            }
            let found = Versioned { record, version: item.version };
            if found.record.delivery_count >= app.settings.worker_channel.cleanup_deliveries {
                free(app, &found, None).await?;
                continue;
            }
            if !asking.kinds.contains(&found.record.kind) || !is_its_turn(&found.record) {
                continue;
            }
            if found.record.work_queue_id.is_some_and(|queue| asking.queues.contains(&queue)) {
                return Ok(Some(found));
            }
            other.get_or_insert(found);
        }
        if other.is_some() && seen >= LOOKED_THROUGH {
            break;
        }
    }
    Ok(other)
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;

    use super::*;
    use domain::model::Timestamp;
    use settings::{Settings, WorkerChannelSettings};
    use store::{Shards, Store};

    const KIND: CleanupKind = CleanupKind::CancellingTimeoutTeardown;

    async fn app(cleanup_lease: f64) -> App {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(2));
        store.create_table().await.unwrap();
        let worker_channel = WorkerChannelSettings { cleanup_lease, ..WorkerChannelSettings::default() };
        App::new(store, Settings { worker_channel, ..Settings::default() })
    }

    async fn leave(app: &App, pool: WorkPoolId, queue: Option<WorkQueueId>) -> CleanupMessageId {
        let message = CleanupMessage {
            id: CleanupMessageId::new(),
            work_pool_id: pool,
            work_queue_id: queue,
            kind: KIND,
            target: Object::new(),
            created: Timestamp::now(),
            delivery_count: 0,
            reservation: None,
            check: None,
        };
        app.store.commit(vec![app.store.leave_cleanup(&message).unwrap()]).await.unwrap();
        message.id
    }

    fn asking(pool: WorkPoolId, queues: &[WorkQueueId]) -> Asking {
        Asking { pool, consumer: Uuid::new_v4(), kinds: vec![KIND], queues: queues.to_vec() }
    }

    async fn take(app: &App, asking: &Asking) -> Option<(CleanupMessageId, String)> {
        let message = reserve(app, asking, |_| true).await.unwrap()?;
        Some((message.id, message.reservation?.token))
    }

    #[tokio::test]
    async fn a_cleanup_is_one_workers_until_it_is_acknowledged() {
        let (app, pool) = (app(30.0).await, WorkPoolId::new());
        let id = leave(&app, pool, None).await;
        let (one, other) = (asking(pool, &[]), asking(pool, &[]));
        let (found, token) = take(&app, &one).await.unwrap();
        assert_eq!((found, take(&app, &other).await), (id, None));
        assert_eq!(reserved_by(&app, &one).await.unwrap().len(), 1);
        assert_eq!(reserved_by(&app, &other).await.unwrap().len(), 0);
        let done = async |token: &str, operation| carry_out(&app, pool, id, token, &operation).await.unwrap();
        assert_eq!(done("another", Operation::Acknowledge).await, Outcome::OtherToken);
        assert!(matches!(done(&token, Operation::Renew).await, Outcome::Accepted(Some(_))));
        assert_eq!(done(&token, Operation::Acknowledge).await, Outcome::Accepted(None));
        assert_eq!(done(&token, Operation::Acknowledge).await, Outcome::NotFound);
        assert_eq!(take(&app, &other).await, None);
    }

    #[tokio::test]
    async fn another_pools_worker_has_no_part_in_it() {
        let (app, pool, other) = (app(30.0).await, WorkPoolId::new(), WorkPoolId::new());
        let id = leave(&app, pool, None).await;
        assert_eq!(take(&app, &asking(other, &[])).await, None);
        let (_, token) = take(&app, &asking(pool, &[])).await.unwrap();
        let outcome = carry_out(&app, other, id, &token, &Operation::Acknowledge).await.unwrap();
        assert_eq!(outcome, Outcome::NotFound);
    }

    #[tokio::test]
    async fn what_is_released_goes_to_another_one_and_at_last_to_the_dead_letters() {
        let (app, pool) = (app(30.0).await, WorkPoolId::new());
        let id = leave(&app, pool, None).await;
        for delivery in 1..=3 {
            let (_, token) = take(&app, &asking(pool, &[])).await.unwrap();
            let outcome = carry_out(&app, pool, id, &token, &Operation::Release("busy".into())).await.unwrap();
            assert_eq!(outcome, if delivery < 3 { Outcome::Accepted(None) } else { Outcome::DeadLettered });
            let again = carry_out(&app, pool, id, &token, &Operation::Acknowledge).await.unwrap();
            assert_eq!(again, if delivery < 3 { Outcome::NotReserved } else { Outcome::NotFound });
        }
        assert_eq!(take(&app, &asking(pool, &[])).await, None);
        let letters = app.store.dead_letters(store::select::Window { offset: 0, limit: 5 }).await.unwrap();
        let [letter] = &letters[..] else { panic!("one dead letter") };
        assert!(letter.reason.ends_with("busy"), "{}", letter.reason);
        let Message::Cleanup { message } = serde_json::from_value(letter.content.clone()).unwrap() else {
            panic!("its content is the cleanup")
        };
        // Its pool is gone, so nobody is asked for it again.
        deliver_anew(&app, &message).await.unwrap();
        assert_eq!(take(&app, &asking(pool, &[])).await, None);
    }

    #[tokio::test]
    async fn a_worker_that_dies_has_it_until_the_lease_expires() {
        let (app, pool) = (app(0.05).await, WorkPoolId::new());
        let id = leave(&app, pool, None).await;
        let expire = || tokio::time::sleep(std::time::Duration::from_millis(60));
        let (_, first) = take(&app, &asking(pool, &[])).await.unwrap();
        expire().await;
        let (_, second) = take(&app, &asking(pool, &[])).await.unwrap();
        assert_eq!(carry_out(&app, pool, id, &first, &Operation::Acknowledge).await.unwrap(), Outcome::OtherToken);
        expire().await;
        assert_eq!(carry_out(&app, pool, id, &second, &Operation::Renew).await.unwrap(), Outcome::Expired);
        assert_eq!(carry_out(&app, pool, id, &second, &Operation::Renew).await.unwrap(), Outcome::NotReserved);
        let (_, third) = take(&app, &asking(pool, &[])).await.unwrap();
        expire().await;
        // Nobody asks; the timer finds it.
        let key = store::table::cleanup_message(pool, id);
        check(&app, &key).await.unwrap();
        check(&app, &key).await.unwrap();
        assert_eq!(carry_out(&app, pool, id, &third, &Operation::Acknowledge).await.unwrap(), Outcome::NotFound);
        let letters = app.store.dead_letters(store::select::Window { offset: 0, limit: 5 }).await.unwrap();
        assert_eq!(letters.len(), 1);
    }

    #[tokio::test]
    async fn cleanups_of_a_workers_own_queues_go_first() {
        let (app, pool, queue) = (app(30.0).await, WorkPoolId::new(), WorkQueueId::new());
        let (old, none, own) = (
            leave(&app, pool, Some(WorkQueueId::new())).await,
            leave(&app, pool, None).await,
            leave(&app, pool, Some(queue)).await,
        );
        let worker = asking(pool, &[queue]);
        let mut order = Vec::new();
        while let Some((id, _)) = take(&app, &worker).await {
            order.push(id);
        }
        assert_eq!(order, [own, old, none]);
        leave(&app, pool, None).await;
        assert_eq!(reserve(&app, &worker, |_| false).await.unwrap(), None, "it is another one's turn");
        let other_kind = Asking { kinds: vec![CleanupKind::PendingClaimTeardown], ..worker };
        assert_eq!(take(&app, &other_kind).await, None);
    }
}
