//! Hot keys: what each partition key of the table and its indexes gets a second when very many runs live at once.
//!
//! `hot_keys [RUNS]` lets so many flow runs and task runs (1,000) live in the product, in this process and on the
//! embedded database, records every call of DynamoDB, counts its units by partition key as DynamoDB's documentation has
//! them, and prints what 1,000 flow runs a second and 100,000 task runs a minute come to, what one run takes in its life,
//! and what a million of them cost.

mod capacity;
mod ledger;
mod lifetimes;
mod price;
mod recording;
mod report;

use common::{Settings, store::Shards};
use lifetimes::Outcome;
use mimalloc::MiMalloc;
use report::Shared;

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
const WORTH_PRINTING: f64 = 0.1;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let runs = std::env::args().nth(1).map_or(Ok(RUNS), |runs| runs.parse())?;
    let shards = Shards(Settings::default().shards);
    let (of_flow_runs, of_task_runs) =
        (lifetimes::of_flow_runs(runs, shards, None).await?, lifetimes::of_task_runs(runs, shards).await?);
    for (title, lifetimes) in [("A flow run's life", &of_flow_runs), ("A task run's life", &of_task_runs)] {
        println!("{title}:\n\n{}", ledger::table(lifetimes));
    }
    println!("What they cost:\n\n{}", price::table(&of_flow_runs, &of_task_runs));
    let flow_runs = report::shared(&of_flow_runs, shards, FLOW_RUNS);
    let task_runs = report::shared(&of_task_runs, shards, TASK_RUNS);
    let both: Vec<Shared> = report::together(&flow_runs, &task_runs)
        .into_iter()
        .filter(|found| !flow_runs.contains(found) && !task_runs.contains(found))
        .collect();
    let limited = lifetimes::of_flow_runs(LIMITED_RUNS, shards, Some(LIMIT)).await?;
    let mut limit = report::shared(&limited, shards, FLOW_RUNS);
    limit.retain(|found| found.key.starts_with("concurrency_limit#"));
    for (title, shared) in [
        ("1,000 flow runs a second", &flow_runs),
        ("100,000 task runs a minute", &task_runs),
        ("Both at once, where both are on the same keys", &both),
        ("What a limit of the deployment adds, if it had 1,000 flow runs a second", &limit),
    ] {
        println!("{title}, over {} shards:\n\n{}", shards.0, report::table(shared, WORTH_PRINTING));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use report::{MOST_READS, MOST_WRITES};

    /// How many runs live in the test: enough to tell a key of one run from one of all.
    const FEW: usize = 40;

    /// How many write units a flow run and a task run take in their lives at most, and a flow run in some of its steps with what
    /// follows: what the ledger says now, and a little more for what many runs share.
    const MOST_OF_A_LIFE: f64 = 42.0;
    const MOST_OF_A_TASK_RUN: f64 = 23.0;
    const MOST_OF_STEPS: [(&str, f64); 3] = [("create", 10.7), ("set ", 7.7), ("PATCH", 1.1)];

    /// Records that every flow run of them reads some times.
    ///
    /// What clients read by its id they see as they wrote it, so it is read strongly consistent; a record is one item,
    /// and an item bears 3,000 such reads a second. So one deployment bears some 300 flow runs a second, and one flow 900.
    const OUT_OF_REACH: [(&str, &str); 2] = [("table", "deployment#<id>"), ("table", "flow#<id>")];

    #[tokio::test]
    async fn with_the_default_shards_no_key_gets_more_than_a_partition_bears() {
        let shards = Shards(Settings::default().shards);
        let flow_runs = lifetimes::of_flow_runs(FEW, shards, None).await.unwrap();
        let task_runs = lifetimes::of_task_runs(FEW, shards).await.unwrap();
        let (life, of_task_run) = (ledger::lifetime(&flow_runs), ledger::lifetime(&task_runs));
        assert!(life <= MOST_OF_A_LIFE, "{}", ledger::table(&flow_runs));
        assert!(of_task_run <= MOST_OF_A_TASK_RUN, "{}", ledger::table(&task_runs));
        for step in &flow_runs.steps {
            let most =
                MOST_OF_STEPS.iter().find(|(name, _)| step.name.starts_with(name)).map_or(f64::MAX, |(_, most)| *most);
            let written = ledger::written(step, flow_runs.runs());
            assert!(written <= most, "{} takes {written}:\n{}", step.name, ledger::table(&flow_runs));
        }
        let loads = [
            (report::shared(&flow_runs, shards, FLOW_RUNS), OUT_OF_REACH.as_slice()),
            (report::shared(&task_runs, shards, TASK_RUNS), &[]),
        ];
        for (load, out_of_reach) in loads {
            let hot: Vec<(&str, &str)> =
                load.iter().filter(|found| found.is_too_hot()).map(|found| (found.of, found.key.as_str())).collect();
            assert_eq!(hot, out_of_reach, "{}", report::table(&load, 0.0));
            for found in load.iter().filter(|found| found.is_too_hot()) {
                let of_ten = (found.units.read / 10.0, found.units.write / 10.0);
                assert!(of_ten.0 <= MOST_READS && of_ten.1 <= MOST_WRITES, "one of ten is not too hot: {found:?}");
            }
        }
    }
}
