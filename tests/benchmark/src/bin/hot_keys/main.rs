//! Hot keys: what each partition key of the table and its indexes gets a second when very many runs live at once.
//!
//! `hot_keys [RUNS]` lets so many flow runs and task runs (1,000) live in the product, in this process and on the
//! embedded database, records every call of DynamoDB, counts its units by partition key as DynamoDB's documentation has
//! them, and prints what 1,000 flow runs a second and 100,000 task runs a minute come to.

mod capacity;
mod lifetimes;
mod recording;
mod report;

use common::{Settings, store::Shards};
use lifetimes::{Lifetimes, Outcome};
use mimalloc::MiMalloc;

/// What the local server allocates with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How many runs live unless the command line says otherwise.
const RUNS: usize = 1_000;

/// How many runs of a deployment with a limit live: each writes the same items.
const LIMITED_RUNS: usize = 50;

/// A limit that none of these runs meets.
const LIMIT: i64 = 1_000_000;

/// Flow runs a second.
const FLOW_RUNS: f64 = 1_000.0;

/// Task runs a second: 100,000 a minute.
const TASK_RUNS: f64 = 100_000.0 / 60.0;

/// From which part of what a partition bears a key is printed.
const WORTH_PRINTING: f64 = 0.05;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let runs = std::env::args().nth(1).map_or(Ok(RUNS), |runs| runs.parse())?;
    let shards = Settings::default().shards;
    print("1,000 flow runs a second", &lifetimes::of_flow_runs(runs, shards, None).await?, shards, FLOW_RUNS);
    print("100,000 task runs a minute", &lifetimes::of_task_runs(runs, shards).await?, shards, TASK_RUNS);
    let limited = lifetimes::of_flow_runs(LIMITED_RUNS, shards, Some(LIMIT)).await?;
    let limit = report::shared(&limited, shards, FLOW_RUNS).into_iter().filter(|found| is_of_limit(&found.key));
    println!("What a deployment's limit adds, if there could be 1,000 of its flow runs a second:\n");
    println!("{}", report::table(&limit.collect::<Vec<_>>(), 0.0));
    Ok(())
}

fn is_of_limit(key: &str) -> bool {
    key.starts_with("concurrency_limit#")
}

fn print(title: &str, lifetimes: &Lifetimes, shards: Shards, rate: f64) {
    let shared = report::shared(lifetimes, shards, rate);
    println!("{title}, over {} shards:\n\n{}", shards.0, report::table(&shared, WORTH_PRINTING));
    let cool: Vec<&str> = report::cool(&shared, WORTH_PRINTING).into_iter().collect();
    println!("Nothing shared gets as much as {:.0} % in: {}\n", WORTH_PRINTING * 100.0, cool.join(", "));
}
