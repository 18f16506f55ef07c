//! Histories over many runs on the embedded database, without HTTP: how long they take, and where the time goes.
//!
//! `history [RUNS]` fills a database in a file with a day of runs (60,000), and prints the best of five of each query.

use std::{error::Error, future::Future, time::Instant};

use common::{
    Result, Settings, Store,
    filter::RunFilters,
    history::History,
    model::{Flow, FlowId, FlowRun, FlowRunId, Seconds, State, StateId, StateType, Timestamp},
    store::{
        Item,
        cost::measured,
        query::Range,
        table::{Collection, Index},
    },
};
use mimalloc::MiMalloc;
use serde_json::{Value, json};
use sqlite::{Database, Mode};

/// What the local server allocates with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How many runs a day has unless the command line says otherwise.
const RUNS: usize = 60_000;

/// How many runs are written at once.
const BATCH: usize = 1_000;

/// How many times each query is asked.
const ROUNDS: usize = 5;

/// The length of the history, in seconds.
const DAY: f64 = 86_400.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let runs = std::env::args().nth(1).map_or(Ok(RUNS), |runs| runs.parse())?;
    let directory = tempfile::tempdir()?;
    let database = Database::open(&directory.path().join("proctor.db"), Mode::Serving)?;
    let settings = Settings::default();
    let store = Store::on(database, settings.shards);
    let now = Timestamp::now();
    let started = Instant::now();
    fill(&store, runs, now).await?;
    eprintln!("{runs} runs in {:.1} s", started.elapsed().as_secs_f64());

    let range = || Range::all(&store, Index::ByTime, Collection::FlowRuns);
    report("a count of the index", || store.count(range())).await?;
    report("reading its items, looking at none", || store.read_all(range())).await?;
    let (start, end) = (now.plus_seconds(-DAY), now);
    for (name, filters) in [
        ("history, no filter", json!({})),
        ("history, a list of state types", json!({"flow_runs": {"state": {"type": {"any_": ["RUNNING", "FAILED"]}}}})),
        ("history, limits of the expected start", json!({"flow_runs": {"expected_start_time": {"after_": start}}})),
        ("history, tags", json!({"flow_runs": {"tags": {"all_": ["nightly"]}}})),
    ] {
        let filters: RunFilters = serde_json::from_value(filters)?;
        report(name, || {
            Box::pin(async {
                let mut history = History::new(start, end, DAY / 24.0)?;
                store.flow_run_history(&filters, &mut history, now).await?;
                Ok(history)
            })
        })
        .await?;
    }
    report("lateness, no filter", || store.flow_run_lateness(&NO_FILTERS, now)).await?;
    report("count by state type", || {
        Box::pin(async {
            let filters: RunFilters =
                serde_json::from_value(json!({"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}))?;
            store.count_flow_runs(&filters).await
        })
    })
    .await?;
    Ok(())
}

static NO_FILTERS: RunFilters = RunFilters {
    flows: None,
    flow_runs: None,
    task_runs: None,
    deployments: None,
    work_pools: None,
    work_pool_queues: None,
};

/// Adds a flow and its runs, spread evenly over the day before `now`: of a hundred 70 completed, 20 failed, 10 running.
async fn fill(store: &Store, runs: usize, now: Timestamp) -> Result<()> {
    let (flow, _) = store.add_flow(Flow::new(FlowId::new(), "flow", now)).await?;
    let mut items = Vec::with_capacity(BATCH);
    for number in 0..runs {
        #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
        let expected = now.plus_seconds(-DAY * (number as f64 + 0.5) / runs as f64);
        let r#type = match number % 10 {
            0..7 => StateType::Completed,
            7..9 => StateType::Failed,
            _ => StateType::Running,
        };
        items.push(Item::of(&run(flow.id, number, r#type, expected), 1, store.shards())?);
        if items.len() == BATCH || number + 1 == runs {
            store.insert_missing(std::mem::take(&mut items)).await?;
        }
    }
    Ok(())
}

fn run(flow: FlowId, number: usize, r#type: StateType, expected: Timestamp) -> FlowRun {
    let mut run = FlowRun::new(FlowRunId::new(), flow, format!("run-{number}"), expected);
    let state = State::new(StateId::new(), r#type, expected.plus_seconds(30.0));
    run.tags = vec!["nightly".into(), "team-a".into()];
    run.parameters.insert("customer".into(), Value::from(number));
    run.expected_start_time = Some(expected);
    run.start_time = Some(expected.plus_seconds(1.5));
    run.total_run_time = Seconds::from_micros(28_500_000);
    (run.state_id, run.state_type, run.state_name) = (Some(state.id), Some(state.r#type), Some(state.name.clone()));
    run.end_time = r#type.is_terminal().then_some(state.timestamp);
    run.state = Some(state);
    run
}

async fn report<T, F: Future<Output = Result<T>>>(name: &str, query: impl Fn() -> F) -> Result<()> {
    let mut best = f64::INFINITY;
    let mut cost = common::store::cost::Cost::default();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let (answer, spent) = measured(query()).await;
        best = best.min(started.elapsed().as_secs_f64());
        answer?;
        cost = spent;
    }
    let common::store::cost::Cost { round_trips, items_read, read_units, .. } = cost;
    println!(
        "{name:<40} {:>6.0} ms  {round_trips:>3} calls  {items_read:>6} items  {read_units:>6.0} read units",
        best * 1e3
    );
    Ok(())
}
