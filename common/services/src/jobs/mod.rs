//! What the job runner does: work that is too long for a request, in steps.
//!
//! A queue delivers a message at least once, and in no order. So every step is bounded, may be repeated and may meet
//! another worker that does the same; where it stands is in the table, and the next step follows from what is written
//! there.

pub mod bulk;
pub mod cancellation;
pub mod late_runs;
pub mod progress;
pub mod queue;
pub mod removals;
pub mod schedules;
pub mod tally_fill;
pub mod timers;

use std::time::Duration;

use futures::{StreamExt, future::BoxFuture, stream};

use error::{Error, Result};
use store::{TableAccess, access, table::Index};

use crate::{
    App, actions, cleanups,
    connections::backfill,
    dead_letters,
    jobs::queue::{Message, Queue},
    panics::caught,
};

use removals::Look;

/// What the worker does with the table; it opens the blocks by which automations call and notify.
pub const ACCESS: TableAccess = TableAccess::WRITES_MANY.via(&Index::ALL).opening_secrets();

/// How many messages of a batch are worked on at the same time.
const AT_ONCE: usize = 4;

/// How long a removal goes on before it leaves the rest to another message.
const PATIENCE: Duration = Duration::from_secs(10);

/// From which delivery on a message is not tried but put aside, for its worker has died each time.
///
/// The queue's redrive policy in the cloud delivers it as often. The embedded queue delivers it until it is put aside.
pub const RECEIVES: u32 = 6;

/// From which delivery on a message is suspected of killing its worker, and carried out when all others are.
const SUSPICIOUS: u32 = 3;

/// How long a message waits that failed for a passing reason.
const AGAIN: Duration = Duration::from_secs(5);

/// A message as the queue hands it out.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Which time it is delivered, from 1.
    pub receives: u32,
}

impl From<Message> for Delivery {
    fn from(message: Message) -> Self {
        Self { message, receives: 1 }
    }
}

/// A message that has to be delivered again.
#[derive(Debug)]
pub struct Failure {
    /// The message's place in the batch.
    pub place: usize,
    /// Why it failed.
    pub error: Error,
}

/// Does what the messages of `deliveries` ask for; returns those that have to be delivered again.
///
/// What fails for a passing reason is sent anew, so that it waits as long as that takes. What fails for good, or has killed
/// its worker again and again, is put aside as a dead letter.
///
/// The future is boxed here, so that the binaries only link it.
pub fn consume<'c>(app: &'c App, queue: &'c Queue, deliveries: &'c [Delivery]) -> BoxFuture<'c, Vec<Failure>> {
    Box::pin(access::within(ACCESS, async move {
        let (suspicious, others): (Vec<_>, Vec<_>) =
            deliveries.iter().cloned().enumerate().partition(|(_, delivery)| delivery.receives >= SUSPICIOUS);
        let mut outcomes: Vec<_> = stream::iter(others)
            .map(|(place, delivery)| async move { (place, settle(app, queue, &delivery).await) })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (place, delivery) in suspicious {
            outcomes.push((place, settle(app, queue, &delivery).await));
        }
        let failure = |(place, outcome): (usize, Result<()>)| Some(Failure { place, error: outcome.err()? });
        outcomes.into_iter().filter_map(failure).collect()
    }))
}

/// Carries out a message, and sees to what becomes of it if it fails.
async fn settle(app: &App, queue: &Queue, delivery: &Delivery) -> Result<()> {
    let Delivery { message, receives } = delivery;
    if *receives >= RECEIVES {
        let reason = format!("its worker ended in the middle of it, {} times", receives - 1);
        return give_up(app, message, &reason, &reason).await;
    }
    match carry_out(app, queue, message).await {
        Ok(()) => Ok(()),
        Err(error) if error.is_passing() => {
            tracing::warn!(?message, %error, "a message is tried again later");
            queue.send_later(&[(message.clone(), AGAIN)]).await
        }
        Err(error) => give_up(app, message, &error.to_string(), &error.public_message()).await,
    }
}

/// Puts `message` aside, which failed for good for this `reason`, and ends what waits for it, as callers may be `told`.
async fn give_up(app: &App, message: &Message, reason: &str, told: &str) -> Result<()> {
    dead_letters::put_message_aside(app, message, reason).await?;
    match message {
        Message::BulkStep { operation, part, step } => bulk::give_up(app, *operation, *part, *step, told).await,
        _ => Ok(()),
    }
}

/// Does what `message` asks for.
///
/// # Errors
/// Why it failed, for a passing reason or for good; a panic is for good.
pub(crate) fn carry_out<'c>(app: &'c App, queue: &'c Queue, message: &'c Message) -> BoxFuture<'c, Result<()>> {
    Box::pin(caught(carry_out_one(app, queue, message)))
}

async fn carry_out_one(app: &App, queue: &Queue, message: &Message) -> Result<()> {
    match message {
        Message::BulkStep { operation, part, step } => bulk::step(app, *operation, *part, *step).await,
        Message::Timers { partition, after } => timers::fire_due(app, queue, partition, after.as_deref()).await,
        Message::Timer { of } => timers::fire(app, of).await,
        Message::LateRuns { partition, after, until } => {
            late_runs::look(app, queue, partition, after.as_deref(), *until).await
        }
        Message::Schedules { partition } => schedules::fan_out(app, queue, partition).await,
        Message::Schedule { deployment } => schedules::look_at(app, *deployment).await,
        Message::VoidRuns { deployment, void } => app.store.delete_void_runs(*deployment, *void).await,
        Message::CancelChildren { flow_run } => cancellation::cancel_children(app, *flow_run).await,
        Message::Act { firing, action } => actions::carry_out(app, *firing, *action).await,
        Message::Cleanup { message } => cleanups::deliver_anew(app, message).await,
        Message::Redrive { letter } => dead_letters::redrive(app, queue, *letter).await,
        Message::ObservedState { state_type, state_name } => {
            app.store.look_for_observed_state(*state_type, state_name).await.map(drop)
        }
        Message::TallyFill { step } => tally_fill::step(app, *step).await,
        Message::Backfill { connection, look } => backfill::step(app, queue, connection, look).await,
        Message::Removal { of, is_second_look } => {
            let look = if *is_second_look { Look::Second } else { Look::First };
            removals::step(app, queue, of, look, PATIENCE).await
        }
    }
}
