//! The embedded engine alone: what reads and writes cost without HTTP, rules, events, or a real server beside it.
//!
//! Each transition is what `set_state` asks of the store, one read of the run and one transaction of the run and its
//! state, over a file with runs; pages and counts are what filters and counts ask of it. No way of calling the engine
//! through the SDK does more of them a second than this prints.

use std::{error::Error, time::Instant};

use common::{
    Settings, Store,
    model::{Flow, FlowId, FlowRun, FlowRunId, State, StateId, StateType, Timestamp},
    settings::Variables,
    store::{
        CommitError,
        query::{Direction, Range},
        table::{self, Collection, Index},
    },
};
use embedded::EmbeddedDatabase;

/// How many runs there are, as many as the comparison with the real server has.
const RUNS: usize = 10_000;

/// How many transitions are measured.
const TRANSITIONS: usize = 3_000;

/// How many items a page has, as in the comparison with the real server.
const PAGE: usize = 200;

/// How many pages are measured.
const PAGES: usize = 200;

/// How often all runs are counted.
const COUNTS: usize = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let database = EmbeddedDatabase::open(&directory.path().join("proctor.db"))?;
    let settings = Settings::local(Variables::default())?;
    let client = aws_sdk_dynamodb::Client::from_conf(database.sdk_config());
    let store = Store::new(client, &settings.table, settings.shards);
    store.create_table().await?;
    let now = Timestamp::now();
    let (flow, _) = store.add_flow(Flow::new(FlowId::new(), "flow", now)).await?;
    let mut ids = Vec::with_capacity(RUNS);
    let started = Instant::now();
    for number in 0..RUNS {
        let run = FlowRun::new(FlowRunId::new(), flow.id, format!("run-{number}"), now);
        ids.push(run.id);
        written(store.commit(vec![store.insert(&run)?]).await)?;
    }
    report("runs added, one item each", RUNS, started);

    let started = Instant::now();
    for number in 0..TRANSITIONS {
        // A step that is coprime to the number of runs goes through them as if at random.
        let id = ids.get(number * 3_571 % RUNS).copied().ok_or("there are runs")?;
        let found = store.flow_run(id).await?.ok_or("the run is there")?;
        let state = State::new(StateId::new(), StateType::Running, Timestamp::now());
        let mut run = found.record;
        (run.state_type, run.start_time) = (Some(StateType::Running), Some(state.timestamp));
        let writes = vec![store.replace(&run, found.version)?, store.put_state(table::flow_run(id), &state, None)?];
        written(store.commit(writes).await)?;
    }
    report("transitions, a read and a transaction of two items each", TRANSITIONS, started);

    let all = Range::all(&store, Index::ByStart, Collection::FlowRuns).in_direction(Direction::Descending);
    let started = Instant::now();
    for _ in 0..PAGES {
        let page = store.read(all.clone(), PAGE).more().await?.ok_or("there are runs")?;
        assert_eq!(page.len(), PAGE, "the page is full");
    }
    report("pages of 200 items by start time, not yet read as records", PAGES, started);

    let started = Instant::now();
    for _ in 0..COUNTS {
        let count = store.count(Range::all(&store, Index::Lookup, Collection::FlowRuns)).await?;
        assert_eq!(usize::try_from(count)?, RUNS, "every run is counted");
    }
    report("counts of all runs in an index of keys", COUNTS, started);
    Ok(())
}

fn written(outcome: Result<(), CommitError>) -> Result<(), Box<dyn Error>> {
    outcome.map_err(|error| common::Error::from(error).into())
}

fn report(what: &str, count: usize, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
    let count = count as f64;
    println!("{what}: {:.0} a second, {:.0} µs each", count / seconds, seconds / count * 1e6);
}
