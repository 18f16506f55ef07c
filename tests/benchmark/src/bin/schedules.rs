//! The scheduler over many deployments: a first look at each, a steady tick, and a look that makes one run.
//!
//! One deployment in ten has a recurrence rule of minutes or seconds anchored in 1970; the others have intervals and cron
//! expressions. `schedules 10000` measures so many, over a database in a file; `schedules --tick FILE` measures ticks over a
//! database that a server has left behind, and prints the median's milliseconds.

use std::{
    error::Error,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Parser;
use common::{
    App, Settings, Store,
    jobs::{
        self, Delivery,
        queue::{Message, Queue},
    },
    model::{
        Deployment, DeploymentId, Flow, FlowId, Object, Seconds, Timestamp,
        deployment::{DeploymentSchedule, Schedule},
    },
    scheduler,
    settings::Variables,
    store::cost::{Cost, measured},
};
use embedded::EmbeddedQueue;
use mimalloc::MiMalloc;
use uuid::Uuid;

/// What the local server allocates with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How many ticks over a database of a server are measured.
const TICKS: usize = 101;

/// The command line.
#[derive(Debug, Parser)]
struct Options {
    /// How many deployments there are.
    #[arg(default_value_t = 1_000)]
    deployments: usize,
    /// The database of a server, which has stopped, to measure ticks over instead.
    #[arg(long)]
    tick: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(file) = options.tick {
        let (app, queue) = open(&file)?;
        let mut times = Vec::with_capacity(TICKS);
        for _ in 0..TICKS {
            let started = Instant::now();
            jobs::schedules::tick(&app, &queue).await?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("{:.3}", times.get(TICKS / 2).copied().unwrap_or_default());
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let (app, queue) = open(&directory.path().join("proctor.db"))?;
    app.store.create_table().await?;
    first_looks(&app, &queue, options.deployments).await
}

fn open(file: &Path) -> Result<(App, Queue), Box<dyn Error>> {
    let database = sqlite::Database::open(file, sqlite::Mode::Serving)?;
    let settings = Settings::local(Variables::default())?;
    let store = Store::on(database.clone(), settings.shards);
    let inbox = EmbeddedQueue::new(database.queue());
    let queue = Queue::new(aws_sdk_sqs::Client::from_conf(inbox.sdk_config()), "any");
    Ok((App::new(store, settings), queue))
}

async fn first_looks(app: &App, queue: &Queue, count: usize) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let mut ids = Vec::with_capacity(count);
    for number in 0..count {
        let deployment = deployment(number);
        ids.push(deployment.id);
        let added = app.store.add_deployment(&deployment, Vec::new()).await;
        added.map_err(|error| format!("a deployment can't be added: {error:?}"))?;
    }
    println!("{count} deployments added in {:.2} s", started.elapsed().as_secs_f64());

    let (outcome, cost) = timed("a tick that finds them all", jobs::schedules::tick(app, queue)).await;
    outcome?;
    explain(&cost, 1);

    for partition in app.store.scheduling_partitions() {
        let messages = [Message::Schedules { partition }];
        let (failures, cost) = timed(
            "a message that has each be looked at, 4,000 at most",
            jobs::consume(app, queue, &messages.map(Delivery::from)),
        )
        .await;
        if let Some(failure) = failures.into_iter().next() {
            return Err(failure.error.into());
        }
        explain(&cost, 1);
    }

    let (outcome, cost) = timed("a first look at each", looks(app, &ids)).await;
    outcome?;
    explain(&cost, count);

    let (outcome, cost) = timed("a tick with nothing to do", jobs::schedules::tick(app, queue)).await;
    outcome?;
    explain(&cost, 1);

    let (outcome, cost) = timed("a repeated look at each, with nothing to do", looks(app, &ids)).await;
    outcome?;
    explain(&cost, count);
    Ok(())
}

async fn looks(app: &App, ids: &[DeploymentId]) -> common::Result<()> {
    for id in ids {
        scheduler::look_at(app, *id).await?;
    }
    Ok(())
}

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> (T, Cost) {
    let started = Instant::now();
    let (outcome, cost) = measured(work).await;
    println!("{what}: {:.3} s", started.elapsed().as_secs_f64());
    (outcome, cost)
}

#[allow(clippy::cast_precision_loss, reason = "an average needs no more")]
fn explain(cost: &Cost, times: usize) {
    let each = |total: f64| total / times as f64;
    println!(
        "  each: {:.1} round trips, {:.1} read units, {:.1} write units",
        each(cost.round_trips as f64),
        each(cost.read_units),
        each(cost.write_units)
    );
}

fn deployment(number: usize) -> Deployment {
    let now = Timestamp::now();
    let flow = Flow::new(FlowId::new(), "flow", now);
    let mut deployment = Deployment::new(DeploymentId::new(), &flow, format!("deployment-{number}"), now);
    let zone = |name: &str| Some(name.to_owned());
    let rrule = |rrule: &str| Schedule::RRule { rrule: rrule.to_owned(), timezone: zone("Europe/Berlin") };
    let cron = |cron: &str| Schedule::Cron { cron: cron.to_owned(), timezone: zone("America/New_York"), day_or: true };
    let every = |hours: i64| Schedule::Interval {
        interval: Seconds::from_micros(hours * 3_600_000_000),
        anchor_date: Timestamp::from_micros(0),
        timezone: zone("UTC"),
    };
    let schedule = match number % 10 {
        0 if number.is_multiple_of(20) => rrule("DTSTART:19700101T000000\nRRULE:FREQ=SECONDLY;INTERVAL=1200"),
        0 => rrule("DTSTART:19700101T000000\nRRULE:FREQ=MINUTELY;INTERVAL=30"),
        1..=3 => every(1),
        4..=5 => every(24),
        6 => cron("*/15 * * * *"),
        7 => cron("0 9 * * MON-FRI"),
        8 => cron("0 0 L * *"),
        _ => cron("30 2 * * *"),
    };
    deployment.schedules.push(DeploymentSchedule {
        id: Uuid::now_v7(),
        created: now,
        updated: now,
        deployment_id: Some(deployment.id),
        schedule,
        active: true,
        max_scheduled_runs: None,
        parameters: Object::new(),
        slug: None,
    });
    deployment
}
