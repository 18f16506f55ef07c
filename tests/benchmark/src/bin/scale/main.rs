//! Queries over many flow runs on the embedded database, without HTTP: what a page costs as the table grows.
//!
//! `scale fill RUNS FILE` makes a database; `scale measure FILE...` asks each one for a page of 200 with every sort and
//! filter, for counts and for the history of a day, and prints the medians side by side.

mod data;

use std::{
    error::Error,
    future::Future,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Parser;
use common::{
    Result, Store,
    filter::{FlowRunSort, RunFilters},
    history::History,
    model::Timestamp,
    store::{
        Shards,
        cost::{Cost, measured},
        select::Window,
    },
};
use data::Around;
use mimalloc::MiMalloc;
use serde_json::{Value, json};
use sqlite::{Changes, Database, Mode};

/// What the local server allocates with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How many times each query is asked.
const ROUNDS: usize = 7;

/// The page that is asked for.
const PAGE: Window = Window { offset: 0, limit: 200 };

/// The command line.
#[derive(Debug, Parser)]
struct Options {
    /// Over how many shards the collections are spread: 1 as on the local server, 20 as in the cloud.
    #[arg(long, global = true, default_value_t = 1)]
    shards: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes a database of this many flow runs.
    Fill {
        /// How many flow runs.
        runs: usize,
        /// The file to make.
        file: PathBuf,
        /// When the newest of them was expected to start; now unless it is given.
        #[arg(long)]
        ending: Option<Timestamp>,
    },
    /// Prints the same data, a JSON object a line, for another server: first the queries, then the records.
    Rows {
        /// How many flow runs.
        runs: usize,
        /// When the newest of them was expected to start.
        #[arg(long)]
        ending: Timestamp,
    },
    /// Measures databases side by side; each ratio is that of the last one to the first.
    Measure {
        /// The files, each filled a short time ago.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What the names of the filters contain that are measured; all of them unless it is given.
        #[arg(long, default_value = "")]
        only: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let Options { shards, command } = Options::parse();
    match command {
        Command::Fill { runs, file, ending } => {
            if file.exists() {
                return Err(format!("{} is there already", file.display()).into());
            }
            let (store, mut changes) = open(&file, shards)?;
            store.create_table().await?;
            let started = Instant::now();
            data::fill(&store, &mut changes, runs, ending.unwrap_or_else(Timestamp::now)).await?;
            eprintln!("[scale] {runs} runs in {:.0} s", started.elapsed().as_secs_f64());
        }
        Command::Rows { runs, ending } => print_rows(runs, ending)?,
        Command::Measure { files, only } => {
            let stores = files
                .iter()
                .map(|file| Ok(open(file, shards)?.0))
                .collect::<std::result::Result<Vec<_>, Box<dyn Error>>>()?;
            measure(&stores, &only).await?;
        }
    }
    Ok(())
}

fn open(file: &Path, shards: u8) -> std::result::Result<(Store, Changes), Box<dyn Error>> {
    let database = Database::open(file, Mode::Serving)?;
    Ok((Store::on(database.clone(), Shards(shards)), database.changes()))
}

fn print_rows(runs: usize, ending: Timestamp) -> std::result::Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, "{}", json!({"filters": data::filters(ending), "sorts": FlowRunSort::ALL}))?;
    let Around { flows, pools, queues, deployments } = Around::new(ending)?;
    writeln!(out, "{}", json!({"flows": flows, "pools": pools, "queues": queues, "deployments": deployments}))?;
    for number in 0..runs {
        serde_json::to_writer(&mut out, &data::run(number, runs, ending))?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}

async fn measure(stores: &[Store], only: &str) -> Result<()> {
    let now = Timestamp::now();
    println!(
        "| query | what | {} | ratio |",
        vec!["ms, items read per returned, read units, plan"; stores.len()].join(" | ")
    );
    println!("|---|---|{}--:|", "--:|".repeat(stores.len()));
    for (name, filter) in data::filters(now).into_iter().filter(|(name, _)| name.contains(only)) {
        let filters: RunFilters = serde_json::from_value(Value::clone(&filter))?;
        for sort in FlowRunSort::ALL {
            let what = json!(sort);
            row(name, what.as_str().unwrap_or_default(), stores, |store| {
                let filters = filters.clone();
                Box::pin(async move { Ok(store.flow_runs(&filters, sort, PAGE).await?.len()) })
            })
            .await?;
        }
        row(name, "count", stores, |store| {
            let filters = filters.clone();
            Box::pin(async move { Ok(usize::try_from(store.count_flow_runs(&filters).await?).unwrap_or(usize::MAX)) })
        })
        .await?;
        row(name, "history of a day", stores, |store| {
            let filters = filters.clone();
            Box::pin(async move {
                let mut history = History::new(now.plus_seconds(-86_400.0), now, 3_600.0)?;
                store.flow_run_history(&filters, &mut history, now).await?;
                Ok(history.into_intervals().len())
            })
        })
        .await?;
    }
    Ok(())
}

/// Asks each store and prints the medians, with what the last answer cost.
async fn row<'s, F: Future<Output = Result<usize>>>(
    filter: &str,
    what: &str,
    stores: &'s [Store],
    query: impl Fn(&'s Store) -> F,
) -> Result<()> {
    let (mut cells, mut medians) = (Vec::new(), Vec::new());
    for store in stores {
        let (mut times, mut last) = (Vec::new(), (0, Cost::default()));
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let (answer, cost) = measured(query(store)).await;
            times.push(started.elapsed().as_secs_f64() * 1e3);
            last = (answer?, cost);
            // The median of something this slow is known well enough.
            if times.iter().sum::<f64>() > 5_000.0 {
                break;
            }
        }
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let (returned, cost) = last;
        #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
        let read = cost.plan.values().map(|queried| queried.items).sum::<u64>() as f64 / returned.max(1) as f64;
        let plan: Vec<&str> = cost.plan.keys().copied().collect();
        cells.push(format!("{median:.1} ms, {read:.2} of {returned}, {:.0} RU, {}", cost.read_units, plan.join("+")));
        medians.push(median);
    }
    let ratio = match medians.as_slice() {
        [first, .., last] => format!("{:.2}", last / first),
        _ => "-".into(),
    };
    println!("| {filter} | {what} | {} | {ratio} |", cells.join(" | "));
    Ok(())
}
