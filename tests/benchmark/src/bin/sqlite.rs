//! The local database alone: what its calls take without HTTP, rules, events, or records read from what is stored.
//!
//! Each transition is what `set_state` writes, a run that changes state with its entry in the history and a small item
//! more. No way of calling the database does more of them a second than this prints.

use std::{
    collections::BTreeMap,
    error::Error,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use common::{
    Error as StoreError,
    model::{FlowRunId, StateId, Timestamp},
    store::{
        CommitError, Item, Key, Write,
        backend::{Backend, Consistency, Query, ReadOut},
        query::{Direction, Range},
        table::{self, Index},
    },
};
use sqlite::{Database, Durability, Mode};
use tokio::task::JoinHandle;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the local database's calls.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many flow runs there are.
    #[arg(long, default_value_t = 100_000)]
    runs: usize,
    /// How many transitions are measured.
    #[arg(long, default_value_t = 40_000)]
    transitions: usize,
    /// Keeps everything in memory.
    #[arg(long)]
    in_memory: bool,
    /// Waits for the disk with each commit.
    #[arg(long)]
    durable: bool,
    /// The directory of the file; a temporary one if it is not given.
    #[arg(long)]
    directory: Option<PathBuf>,
}

/// How many reads are measured.
const READS: usize = 20_000;

/// How many single writes are measured.
const WRITES: usize = 5_000;

/// How many items a page has.
const PAGE: usize = 200;

/// How many pages are measured.
const PAGES: usize = 200;

/// How many clients there are at once.
const CLIENTS: [usize; 3] = [1, 4, 16];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir()?;
    let directory = arguments.directory.as_deref().unwrap_or(temporary.path());
    let durability = if arguments.durable { Durability::Full } else { Durability::Process };
    let database = if arguments.in_memory {
        Database::in_memory()?
    } else {
        Database::open_with(&directory.join("proctor.db"), Mode::Serving, durability)?
    };
    let runs: Arc<Vec<FlowRunId>> = Arc::new((0..arguments.runs).map(|_| FlowRunId::new()).collect());
    let started = Instant::now();
    let follower = follow(&database);
    for (place, ids) in runs.chunks(25).enumerate() {
        let writes = ids.iter().enumerate().map(|(here, id)| Write::Put(run(*id, 25 * place + here, 1)));
        database.write_many(writes.collect()).await?;
    }
    report("runs added, 25 at once, consumed", arguments.runs, started.elapsed(), Vec::new());
    follower.abort();

    let mut latencies = Vec::with_capacity(READS);
    let started = Instant::now();
    for number in 0..READS {
        let key = table::flow_run(nth(&runs, number)?);
        let began = Instant::now();
        let (found, _) = database.get(&[&key], Consistency::Strong).await?;
        latencies.push(began.elapsed());
        assert_eq!(found.len(), 1, "the run is there");
    }
    report("gets", READS, started.elapsed(), latencies);

    let mut latencies = Vec::with_capacity(WRITES);
    let started = Instant::now();
    for number in 0..WRITES {
        let item = run(FlowRunId::new(), arguments.runs + number, 1);
        let began = Instant::now();
        written(database.write(vec![Write::Insert(item)]).await.map(drop))?;
        latencies.push(began.elapsed());
    }
    report("runs added, one at once", WRITES, started.elapsed(), latencies);

    // The first round writes the runs' second version, and so on.
    let mut version = 1;
    for is_followed in [false, true] {
        let follower = is_followed.then(|| follow(&database));
        for clients in CLIENTS {
            version += 1;
            let count = arguments.transitions.min(arguments.runs);
            let written_before = bytes_written();
            let started = Instant::now();
            let clients_of = (0..clients).map(|client| {
                let (database, runs) = (database.clone(), runs.clone());
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    for number in (client..count).step_by(clients) {
                        let began = Instant::now();
                        let id = runs.get(number).copied().ok_or(StoreError::Internal("there are runs".into()))?;
                        database.write(transition(id, number, version)).await.map(drop).map_err(StoreError::from)?;
                        latencies.push(began.elapsed());
                    }
                    Ok::<_, StoreError>(latencies)
                })
            });
            let mut latencies = Vec::new();
            for client in clients_of.collect::<Vec<_>>() {
                latencies.extend(client.await??);
            }
            let beside = if is_followed { ", consumed" } else { "" };
            let took = started.elapsed();
            let kilobytes = (bytes_written() - written_before) / 1_024 / u64::try_from(count)?.max(1);
            let what = format!("transitions of 3 items, {clients} at once{beside} ({kilobytes} KB written each)");
            report(&what, count, took, latencies);
        }
        if let Some(follower) = follower {
            follower.abort();
        }
    }

    let started = Instant::now();
    let range = Range::of_index(Index::Lookup, "flow_runs#0");
    let (mut counted, mut start) = (0, None);
    loop {
        let query = Query { range: &range, partition: "flow_runs#0", read_out: ReadOut::Nothing, limit: 7_000, start };
        let (page, _) = database.query(&query).await?;
        counted += page.count;
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    report("entries counted", counted, started.elapsed(), Vec::new());

    for (what, index) in [("runs", Index::ByStart), ("orders of runs", Index::ByDeployment)] {
        let partition = match index {
            Index::ByStart => "flow_runs#0",
            _ => "deployment#1",
        };
        let range = Range::of_index(index, partition).in_direction(Direction::Descending);
        let mut latencies = Vec::with_capacity(PAGES);
        let started = Instant::now();
        for _ in 0..PAGES {
            let began = Instant::now();
            let query = Query { range: &range, partition, read_out: ReadOut::Items, limit: PAGE, start: None };
            let (page, _) = database.query(&query).await?;
            latencies.push(began.elapsed());
            assert_eq!(page.items.len(), PAGE.min(arguments.runs), "the page is full");
        }
        report(&format!("pages of {PAGE} {what}"), PAGES, started.elapsed(), latencies);
    }
    if let Some(file) = database.location() {
        let size = |suffix: &str| std::fs::metadata(format!("{}{suffix}", file.display())).map_or(0, |file| file.len());
        println!("file: {} MB, log: {} MB", size("") >> 20, size("-wal") >> 20);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")) {
        println!("{line}");
    }
    Ok(())
}

/// Consumes what is written, and does nothing with it.
fn follow(database: &Database) -> JoinHandle<()> {
    let mut changes = database.changes();
    tokio::spawn(async move {
        loop {
            if changes.next(100).await.is_ok() {
                changes.acknowledge();
            }
        }
    })
}

/// Returns how many bytes this process has written so far, if the system says so.
fn bytes_written() -> u64 {
    let counters = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let written = counters.lines().find_map(|line| line.strip_prefix("wchar: "));
    written.and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
}

/// Goes through the runs as if at random, by a step that is coprime to their number.
fn nth(runs: &[FlowRunId], number: usize) -> Result<FlowRunId, StoreError> {
    runs.get(number * 3_571 % runs.len().max(1)).copied().ok_or(StoreError::Internal("there are runs".into()))
}

/// Returns a flow run's item, as large as a usual one and with all that indexes it.
fn run(id: FlowRunId, number: usize, version: u64) -> Item {
    const STATES: [&str; 4] = ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"];
    let state = STATES[usize::try_from(version.saturating_sub(1)).unwrap_or_default() % STATES.len()];
    // Runs are written in the order of their times, as they come to be, one every two seconds.
    let (day, hour, minute, second) = (number / 43_200, number / 1_800 % 24, number / 30 % 60, number % 30 * 2);
    let time = format!("2026-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.000000Z", 1 + day / 28, 1 + day % 28);
    let sorted = |value: &str| format!("{value}\u{1}{id}");
    let mut index_keys: BTreeMap<String, String> = BTreeMap::new();
    let mut keyed = |index: Index, partition: String, sort: String| {
        index_keys.insert(index.partition(), partition);
        index_keys.insert(index.sort(), sort);
    };
    let all = || "flow_runs#0".to_owned();
    for index in [Index::ByTime, Index::ByEnd, Index::ByName] {
        keyed(index, all(), sorted(&time));
    }
    keyed(Index::ByNextStart, all(), if state == "SCHEDULED" { sorted(&time) } else { sorted("!") });
    // The start comes a second after it was expected, once the run has begun.
    let start = if version > 2 { sorted(&time.replace(".0", ".5")) } else { sorted(&time) };
    keyed(Index::ByStart, all(), start.clone());
    keyed(Index::ByParent, format!("flow#{}", number % 7), start.clone());
    keyed(Index::ByState, format!("flow_runs#{state}"), start.clone());
    keyed(Index::ByDeployment, format!("deployment#{}", number % 3), start.clone());
    keyed(Index::ByWorkQueue, format!("work_queue#{}", number % 3), start);
    index_keys.insert(Index::Lookup.partition(), all());
    index_keys.insert(Index::Lookup.sort(), id.to_string());
    if state == "SCHEDULED" {
        index_keys.insert(Index::WaitingInQueue.partition(), format!("work_queue#{}", number % 3));
        index_keys.insert(Index::WaitingOfDeployment.partition(), format!("deployment#{}", number % 3));
    } else if state != "COMPLETED" {
        index_keys.insert(Index::Occupying.partition(), format!("active#{}", number % 3));
    }
    let field = |bytes: usize| "\"name\": \"value\", ".chars().cycle().take(bytes).collect::<String>();
    Item {
        key: table::flow_run(id),
        version,
        announced: Some(version),
        head: Some(format!("{{\"id\":\"{id}\",\"state\":\"{state}\",{}", field(600))),
        tail: Some(format!("{{\"version\":{version},{}", field(1_000))),
        brief: Some(format!("{{\"state\":\"{state}\",\"times\":[\"{time}\",\"{time}\"]}}")),
        expires: None,
        index_keys,
    }
}

/// Returns what a transition of a run to its state of this version writes.
fn transition(id: FlowRunId, number: usize, version: u64) -> Vec<Write> {
    let state_id = StateId::new();
    let plain = |key: Key, bytes: usize, index_keys: BTreeMap<String, String>| Item {
        key,
        version: 1,
        announced: None,
        head: Some("{}".into()),
        tail: Some("x".repeat(bytes)),
        brief: None,
        expires: None,
        index_keys,
    };
    let found_by_id = BTreeMap::from([
        (Index::Lookup.partition(), format!("state#{state_id}")),
        (Index::Lookup.sort(), "state".to_owned()),
    ]);
    let state = plain(table::flow_run_state(id, Timestamp::now(), state_id), 700, found_by_id);
    let note = plain(table::flow_run_pulse(id), 100, BTreeMap::new());
    vec![Write::Replace(run(id, number, version)), Write::Insert(state), Write::Put(note)]
}

fn written(outcome: Result<(), CommitError>) -> Result<(), Box<dyn Error>> {
    outcome.map_err(|error| StoreError::from(error).into())
}

fn report(what: &str, count: usize, took: Duration, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let seconds = took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
    let rate = count as f64 / seconds;
    let at = |share: usize| latencies.get(latencies.len() * share / 1_000).map(|latency| format!("{latency:.1?}"));
    let shares = [(500, "p50"), (990, "p99"), (999, "p99.9")];
    let shown = shares.into_iter().filter_map(|(share, name)| Some(format!(", {name} {}", at(share)?)));
    println!("{what}: {rate:.0} a second, {:.1} µs each{}", 1e6 / rate, shown.collect::<String>());
}
