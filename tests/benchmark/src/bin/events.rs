//! Events in the local database: how fast they come in, are listed and counted, by whether their ids tell their times.
//!
//! `events [EVENTS]` writes so many (100,000) in batches of 50, ten milliseconds apart, once with random ids and once
//! with ids as clients make them, and prints both beside each other, without HTTP. They take turns; the median counts.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use common::{
    Store,
    event_counts::CountsByValue,
    filter::EventFilter,
    model::{ReceivedEvent, Timestamp},
    store::{Shards, event_query::Counting},
};
use serde_json::{Value, json};
use sqlite::{Database, Durability, Mode};
use uuid::{Builder, Uuid};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How many events there are unless the command line says otherwise.
const EVENTS: usize = 100_000;

/// How many events a client sends at once.
const BATCH: usize = 50;

/// How many microseconds lie between two events.
const APART: i64 = 10_000;

/// How many seconds after a full minute the last event occurs.
const SECONDS: i64 = 10;

/// How often each read is repeated.
const REPEATS: usize = 21;

/// How long events are kept, in seconds.
const RETENTION: u64 = 604_800;

#[tokio::main]
async fn main() -> Outcome<()> {
    let count = std::env::args().nth(1).map_or(Ok(EVENTS), |count| count.parse())?;
    let directory = tempfile::tempdir()?;
    let open = |name: &str| {
        let database = Database::open_with(&directory.path().join(name), Mode::Serving, Durability::Process)?;
        Ok::<_, sqlite::SqliteError>(Store::on(database, Shards(1)))
    };
    let stores = [open("random.db")?, open("telling.db")?];
    // What a window has beyond whole minutes is looked at.
    let minute = Timestamp::now().as_seconds() / 60 * 60;
    let now = Timestamp::from_micros((minute + SECONDS) * 1_000_000).ok_or("it is in the calendar")?;
    let first = now.as_micros() - APART * i64::try_from(count)?;
    let events = |tells_time| {
        (0..count).map(move |number| event(number, first + APART * i64::try_from(number)?, tells_time)).collect()
    };
    let events: [Outcome<Vec<ReceivedEvent>>; 2] = [false, true].map(events);
    let [random, telling] = events;
    let (random, telling) = (random?, telling?);
    println!("| of {count} events | random ids | ids that tell their times |\n|---|--:|--:|");
    let mut took = [Vec::new(), Vec::new()];
    for batches in random.chunks(BATCH).zip(telling.chunks(BATCH)) {
        for ((store, batch), took) in stores.iter().zip([batches.0, batches.1]).zip(&mut took) {
            let began = Instant::now();
            store.add_events(batch, RETENTION).await?;
            took.push(began.elapsed());
        }
    }
    print_medians("50 taken in", took);

    let reads = [
        ("the newest 50, without the total", json!({}), Counting::PageOnly),
        ("the newest 50, with the total", json!({}), Counting::Ahead),
        ("the newest 50 of a name, with the total", json!({"event": {"name": ["kettle.boiled.1"]}}), Counting::Ahead),
        ("the newest 50 with a text, with the total", json!({"text": {"query": "boiled.2"}}), Counting::Ahead),
        ("the newest 50 of a resource", json!({"resource": {"id": ["kettle.7"]}}), Counting::PageOnly),
    ];
    for (what, document, counting) in reads {
        let filter = filter(document, now)?;
        let read = async |store: &Store| Ok(store.read_events(&filter, None, 50, counting).await?.events.len());
        compare(what, &stores, 50, read).await?;
    }
    let both = [random, telling].map(|events| {
        let ids: Vec<_> = events.iter().rev().step_by(97).take(50).map(|event| event.id).collect();
        filter(json!({"id": {"id": ids}}), now)
    });
    let [of_random, of_telling] = both;
    let (of_random, of_telling) = (of_random?, of_telling?);
    let by_id = async |store: &Store| {
        let mut found = 0;
        for filter in [&of_random, &of_telling] {
            found += store.read_events(filter, None, 50, Counting::PageOnly).await?.events.len();
        }
        Ok(found)
    };
    compare("100 by their ids, of which 50 are there", &stores, 50, by_id).await?;
    let all = filter(json!({}), now)?;
    let by_name = async |store: &Store| {
        let mut counts = CountsByValue::default();
        store.tallied_events_by_name(&all, &mut counts).await?;
        Ok(counts.into_counts().len())
    };
    compare("counts by name", &stores, 4, by_name).await?;
    let some = filter(json!({"any_resource": {"id_prefix": ["kettle"]}}), now)?;
    let heads = async |store: &Store| {
        let mut heads = 0;
        store.heads_of_events(&some, |_| heads += 1).await?;
        Ok(heads)
    };
    compare("counts that no tally answers, looking at each", &stores, count, heads).await?;
    let times = async |store: &Store| {
        let mut times = 0;
        store.times_of_events(&all, |_| times += 1).await?;
        Ok(times)
    };
    compare("the times of all", &stores, count, times).await
}

/// Prints the median times of a read that finds so many in each store, which take turns.
async fn compare(
    what: &str,
    stores: &[Store; 2],
    expected: usize,
    read: impl AsyncFn(&Store) -> Outcome<usize>,
) -> Outcome<()> {
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..REPEATS {
        for (store, took) in stores.iter().zip(&mut took) {
            let began = Instant::now();
            let found = read(store).await?;
            took.push(began.elapsed());
            if found != expected {
                return Err(format!("{found} were found in place of {expected}").into());
            }
        }
    }
    print_medians(what, took);
    Ok(())
}

fn print_medians(what: &str, took: [Vec<Duration>; 2]) {
    let [random, telling] = took.map(|mut took| {
        took.sort();
        took.get(took.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e3
    });
    println!("| {what} | {random:.2} ms | {telling:.2} ms |");
}

fn filter(document: Value, now: Timestamp) -> Outcome<EventFilter> {
    let mut filter: EventFilter = serde_json::from_value(document)?;
    filter.resolve(now);
    Ok(filter)
}

/// Makes an event as large as those that tell of task runs.
fn event(number: usize, occurred: i64, tells_time: bool) -> Outcome<ReceivedEvent> {
    let at = Timestamp::from_micros(occurred).ok_or("it is in the calendar")?;
    let any = Uuid::new_v4();
    let id = if tells_time {
        let random = any.as_bytes().first_chunk().ok_or("an id has ten bytes")?;
        Builder::from_unix_timestamp_millis(u64::try_from(occurred / 1_000)?, random).into_uuid()
    } else {
        any
    };
    let related = |kind: &str| {
        let id = format!("prefect.{kind}.{}", Uuid::from_u128(u128::try_from(number % 1_000).unwrap_or_default()));
        json!({"prefect.resource.id": id, "prefect.resource.role": kind, "prefect.resource.name": "brave-otter"})
    };
    let state = json!({"type": "RUNNING", "name": "Running", "message": "x".repeat(100), "state_details": {}});
    Ok(serde_json::from_value(json!({
        "occurred": at, "event": format!("kettle.boiled.{}", number % 4),
        "resource": {
            "prefect.resource.id": format!("kettle.{}", number % 100), "prefect.resource.name": "load_part-0a3",
        },
        "related": [related("flow-run"), related("flow"), related("deployment"), related("work-queue")],
        "payload": {"initial_state": state, "validated_state": state, "task_run": {"name": "y".repeat(700)}},
        "id": id, "received": at,
    }))?)
}
