//! What the job runner does: work that is too long for a request, in steps.
//!
//! A queue delivers a message at least once, and in no order. So every step is bounded, may be repeated and may meet
//! another worker that does the same; where it stands is in the table, and the next step follows from what is written
//! there.

pub mod bulk;
pub mod cancellation;
pub mod progress;
pub mod queue;
pub mod removals;
pub mod schedules;
pub mod timers;

use std::time::Duration;

use futures::{StreamExt, future::BoxFuture, stream};

use error::Error;
use store::{TableAccess, access, table::Index};

use crate::{
    App,
    jobs::queue::{Message, Queue},
};

use removals::Look;

/// What the worker does with the table.
pub const ACCESS: TableAccess = TableAccess::WRITES_MANY.via(&Index::ALL);

/// How many messages of a batch are worked on at the same time.
const AT_ONCE: usize = 4;

/// How long a removal goes on before it leaves the rest to another message.
const PATIENCE: Duration = Duration::from_secs(10);

/// A message that has to be delivered again.
#[derive(Debug)]
pub struct Failure {
    /// The message's place in the batch.
    pub place: usize,
    /// Why it failed.
    pub error: Error,
}

/// Does what `messages` ask for; returns those that have to be delivered again.
///
/// The future is boxed here, so that the binaries only link it.
pub fn consume<'c>(app: &'c App, queue: &'c Queue, messages: &'c [Message]) -> BoxFuture<'c, Vec<Failure>> {
    Box::pin(access::within(ACCESS, async move {
        let outcomes: Vec<_> = stream::iter(messages.iter().cloned().enumerate())
            .map(|(place, message)| async move { (place, carry_out(app, queue, &message).await) })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let failure = |(place, outcome): (usize, Result<(), Error>)| Some(Failure { place, error: outcome.err()? });
        outcomes.into_iter().filter_map(failure).collect()
    }))
}

async fn carry_out(app: &App, queue: &Queue, message: &Message) -> Result<(), Error> {
    match message {
        Message::BulkStep { operation, part, step } => bulk::step(app, *operation, *part, *step).await,
        Message::Timers { partition, after } => timers::fire_due(app, queue, partition, after.as_deref()).await,
        Message::Timer { of } => timers::fire(app, of).await,
        Message::Schedules { partition } => schedules::fan_out(app, queue, partition).await,
        Message::Schedule { deployment } => schedules::look_at(app, *deployment).await,
        Message::CancelChildren { flow_run } => cancellation::cancel_children(app, *flow_run).await,
        Message::Removal { of, is_second_look } => {
            let look = if *is_second_look { Look::Second } else { Look::First };
            removals::step(app, queue, of, look, PATIENCE).await
        }
    }
}
