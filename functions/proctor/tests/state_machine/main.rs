//! Random requests of many clients at once, and what the server does by itself, on a store that fails now and then and
//! whose indexes lag, held against a model of the rules.
//!
//! An episode is a world of its own: flow runs of limited deployments and of none, and task runs with a limited tag. Clients
//! propose random states over HTTP, forced ones too, poll for runs and start them, resume, add and delete runs, one by one
//! and many at once; they repeat a request that failed as the Prefect client does, and at times one that did not.
//! Meanwhile the stream's consumer, two workers of the queue and the ticks of the schedule do their part, each piece of
//! work more than once at times, and no limit may be exceeded; afterwards everything is read back. `PROCTOR_EPISODES` makes
//! the test longer, and `PROCTOR_SEED` begins with the episode that failed: it makes the same proposals and faults, though
//! not in the same order.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod clients;
mod model;
mod random;
mod services;
mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    clients::client,
    random::Random,
    services::{consume_changes, run_jobs, settle},
    world::World,
};

const CLIENTS: usize = 8;
/// How many workers of the queue there are, each with ticks of its own.
const WORKERS: usize = 2;
/// How many episodes there are where nobody asks for more.
const SHORT: u64 = 3;

async fn episode(seed: u64) {
    let mut random = Random(seed);
    let world = Arc::new(Box::pin(World::new(&mut random)).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn({
        let (world, is_over) = (world.clone(), is_over.clone());
        async move {
            while !is_over.load(Ordering::SeqCst) {
                for id in &world.limits {
                    let limit = world.limit(*id).await;
                    assert!(limit.active_slots <= limit.limit, "{} holds {}", limit.name, limit.active_slots);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    });
    let consumer = tokio::spawn(consume_changes(world.clone(), is_over.clone(), random.next()));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(run_jobs(world.clone(), is_over.clone(), random.next()));
    }
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(world.clone(), random.next()));
    }
    clients.join_all().await;
    is_over.store(true, Ordering::SeqCst);
    watch.await.unwrap();
    workers.join_all().await;
    let mut changes = consumer.await.unwrap();
    settle(&world, &mut changes).await;
    model::check(&world).await;
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_clients_propose_slots_are_leases_and_histories_are_legal() {
    let first = setting("PROCTOR_SEED").unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0 >> 16);
    let started = Instant::now();
    for seed in (first..).take(usize::try_from(setting("PROCTOR_EPISODES").unwrap_or(SHORT)).unwrap()) {
        println!("PROCTOR_SEED={seed}, after {:.1?}", started.elapsed());
        Box::pin(episode(seed)).await;
    }
}
