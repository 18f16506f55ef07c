//! What the server does by itself, as in the cloud: at least once, by several at once, on a store that fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{
    App,
    jobs::{self, Delivery, queue::Message},
    store::select::Window,
    stream::{self, Batch},
};
use embedded::ReceivedMessage;
use proctor::database::Changes;

use crate::{
    random::Random,
    world::{SHORT_WHILE, World},
};

/// How long a message is hidden while it is worked on.
const HIDDEN: Duration = Duration::from_secs(5);
/// How long the stream is waited for.
const A_MOMENT: Duration = Duration::from_millis(20);

/// Consumes the stream, some batches twice, until it is over; returns the stream.
pub(crate) async fn consume_changes(world: Arc<World>, is_over: Arc<AtomicBool>, seed: u64) -> Changes {
    let mut random = Random(seed);
    let mut changes = world.database.changes(&world.app.settings.table);
    while !is_over.load(Ordering::SeqCst) {
        follow(&world, &world.services, &mut changes, if random.one_in(4) { 2 } else { 1 }).await;
    }
    changes
}

/// Consumes the next changes `times` times; returns whether there were any.
async fn follow(world: &World, app: &App, changes: &mut Changes, times: usize) -> bool {
    let Ok(batch) = tokio::time::timeout(A_MOMENT, changes.next(50)).await else { return false };
    let batch = Batch::read(&app.store, batch.unwrap()).await.unwrap();
    let mut is_done = true;
    for _ in 0..times {
        is_done &= stream::consume(app, &world.queue, &batch.changes).await.is_empty();
    }
    if is_done && batch.discard(&app.store, None).await.is_ok() {
        changes.acknowledge().unwrap();
    }
    true
}

/// Ticks, and does what messages ask for, some of them twice, until it is over.
pub(crate) async fn run_jobs(world: Arc<World>, is_over: Arc<AtomicBool>, seed: u64) {
    let mut random = Random(seed);
    while !is_over.load(Ordering::SeqCst) {
        // What a tick fails to do, the next one does.
        let _ = jobs::timers::tick(&world.services, &world.queue).await;
        work(&world, &world.services, if random.one_in(3) { 2 } else { 1 }).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Does what the next messages ask for `times` times at once; returns whether there were any.
async fn work(world: &World, app: &App, times: usize) -> bool {
    let received: Vec<ReceivedMessage> = world.inbox.hand_out(10, HIDDEN).await.unwrap();
    let messages: Vec<Message> =
        received.iter().map(|received| serde_json::from_str(&received.body).unwrap()).collect();
    let deliveries: Vec<Delivery> = (0..times).flat_map(|_| messages.clone()).map(Delivery::from).collect();
    let failures = jobs::consume(app, &world.queue, &deliveries).await;
    for (place, received) in received.iter().enumerate() {
        if !failures.iter().any(|failure| failure.place % messages.len() == place) {
            world.inbox.acknowledge(received).await.unwrap();
        }
    }
    !received.is_empty()
}

/// Lets everything be done that is left, now that nothing fails and no index lags.
pub(crate) async fn settle(world: &World, changes: &mut Changes) {
    world.faults.iter().for_each(embedded::faults::Faults::end);
    world.lagging.catch_up().await;
    tokio::time::sleep(Duration::from_secs_f64(2.0 * SHORT_WHILE)).await;
    // What is put off by a minute, such as a second look at what was cancelled, is done too; and what follows from it.
    for _ in 0..3 {
        world.inbox.bring_forward().await.unwrap();
        jobs::timers::tick(&world.app, &world.queue).await.unwrap();
        while work(world, &world.app, 1).await || follow(world, &world.app, changes, 1).await {}
        tokio::time::sleep(Duration::from_secs_f64(1.2 * SHORT_WHILE)).await;
    }
    assert_eq!(world.app.store.dead_letters(Window { offset: 0, limit: 1 }).await.unwrap(), []);
}
