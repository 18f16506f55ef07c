//! Polls for due flow runs, as more and more of them wait: what a worker's question costs.
//!
//! `picking_up [--shards N] [WAITING…]` fills one database in a file, step by step, until so many runs wait (10, 10,000 and
//! 100,000), spread over the queues of a work pool and over deployments; at each step it polls for ten by pool, by one of its
//! queues, by a deployment and by many, and once more where nothing is due. A poll is a whole request of the product but for
//! the network; none of the runs is started, so each poll gets the same ones.

use std::{error::Error, time::Instant};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, header::CONTENT_TYPE},
};
use clap::Parser;
use common::{
    App, Settings, Store,
    model::{
        DeploymentId, Flow, FlowRun, FlowRunId, State, StateId, StateType, Timestamp, WorkPool, WorkQueue, WorkQueueId,
    },
    store::{Item, Shards},
};
use mimalloc::MiMalloc;
use serde_json::{Value, json};
use sqlite::{Changes, Database, Mode};

/// What the local server allocates with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What goes wrong ends the measurement.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// How many queues the pool has besides its default one.
const QUEUES: usize = 3;

/// How many deployments the runs are of.
const DEPLOYMENTS: usize = 20;

/// How many runs a poll asks for.
const WANTED: usize = 10;

/// How many runs are written at once.
const BATCH: usize = 1_000;

/// How many times each poll is repeated.
const ROUNDS: usize = 200;

/// The command line.
#[derive(Debug, Parser)]
struct Options {
    /// Over how many shards the collections are spread: 1 as on the local server, 20 as in the cloud.
    #[arg(long, default_value_t = 1)]
    shards: u8,
    /// How many runs wait at each step, ascending.
    #[arg(default_values_t = [10, 10_000, 100_000])]
    waiting: Vec<usize>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let Options { shards, waiting } = Options::parse();
    let directory = tempfile::tempdir()?;
    let mut world =
        World::new(Database::open(&directory.path().join("proctor.db"), Mode::Serving)?, Shards(shards)).await?;
    println!("| waiting | polled by | returned | p50 ms | p95 ms | items read | read units | round trips |");
    println!("|--:|---|--:|--:|--:|--:|--:|--:|");
    for count in waiting {
        let started = Instant::now();
        world.fill(count).await?;
        eprintln!("[picking_up] {} runs wait after {:.0} s", world.waiting, started.elapsed().as_secs_f64());
        for (name, poll) in world.polls() {
            let Measured { returned, p50, p95, items, read_units, round_trips } = world.measure(&poll, ROUNDS).await?;
            println!(
                "| {count} | {name} | {returned} | {p50:.2} | {p95:.2} | {items} | {read_units:.1} | {round_trips} |"
            );
        }
    }
    Ok(())
}

/// A poll: its path, and its body.
type Poll = (String, Value);

/// What a poll costs: milliseconds of many, and at the store what the last one did.
#[derive(Debug)]
struct Measured {
    returned: usize,
    p50: f64,
    p95: f64,
    items: u64,
    read_units: f64,
    round_trips: u64,
}

/// The product in this process, with a pool of several queues and the deployments in them.
struct World {
    app: Router,
    store: Store,
    changes: Changes,
    flow: Flow,
    pool: WorkPool,
    /// By priority.
    queues: Vec<WorkQueue>,
    deployments: Vec<DeploymentId>,
    /// When the first of the runs is due.
    begin: Timestamp,
    waiting: usize,
}

impl World {
    async fn new(database: Database, shards: Shards) -> Outcome<Self> {
        let settings = Settings { shards: shards.0, ..Settings::default() };
        let store = Store::on(database.clone(), shards);
        let changes = database.changes();
        let app = proctor::app(App::new(store.clone(), settings));
        let flow: Flow = serde_json::from_value(ask(&app, "/flows/", &json!({"name": "flow"})).await?.0)?;
        ask(&app, "/work_pools/", &json!({"name": "pool", "type": "process"})).await?;
        for number in 0..QUEUES {
            let queue = json!({"name": format!("queue-{number}"), "priority": number + 1});
            ask(&app, "/work_pools/pool/queues", &queue).await?;
        }
        let queues: Vec<WorkQueue> =
            serde_json::from_value(ask(&app, "/work_pools/pool/queues/filter", &json!({})).await?.0)?;
        let mut deployments = Vec::with_capacity(DEPLOYMENTS);
        for number in 0..DEPLOYMENTS {
            let queue = queue_of(&queues, number).ok_or("the pool has queues")?;
            let deployment = json!({
                "name": format!("deployment-{number}"), "flow_id": flow.id, "work_pool_name": "pool",
                "work_queue_name": queue.name,
            });
            let (answer, _) = ask(&app, "/deployments/", &deployment).await?;
            deployments.push(serde_json::from_value(answer["id"].clone())?);
        }
        let pool = store.work_pool("pool").await?.ok_or("the pool is there")?.record.pool;
        let begin = Timestamp::now().plus_seconds(-86_400.0);
        Ok(Self { app, store, changes, flow, pool, queues, deployments, begin, waiting: 0 })
    }

    /// Adds runs until `count` of them wait; nothing is to follow from the changes.
    async fn fill(&mut self, count: usize) -> Outcome<()> {
        while self.waiting < count {
            let next = (self.waiting + BATCH).min(count);
            let items = (self.waiting..next).map(|number| self.store.item(&self.run(number)?, 1).map_err(Into::into));
            self.store.insert_missing(items.collect::<Outcome<Vec<Item>>>()?).await?;
            self.waiting = next;
        }
        while let Ok(told) =
            tokio::time::timeout(std::time::Duration::from_millis(100), self.changes.next(2 * BATCH)).await
        {
            told?;
            self.changes.acknowledge();
        }
        Ok(())
    }

    /// Makes a run of the deployments in turn, due half a second after the one before.
    fn run(&self, number: usize) -> Outcome<FlowRun> {
        let queue = queue_of(&self.queues, number % DEPLOYMENTS).ok_or("the pool has queues")?;
        #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
        let due = self.begin.plus_seconds(number as f64 / 2.0);
        let mut run = FlowRun::new(FlowRunId::new(), self.flow.id, format!("run-{number}"), self.begin);
        let mut state = State::new(StateId::new(), StateType::Scheduled, self.begin);
        state.state_details.scheduled_time = Some(due);
        run.deployment_id = self.deployments.get(number % DEPLOYMENTS).copied();
        (run.work_queue_id, run.work_queue_name) = (Some(queue.id), Some(queue.name.clone()));
        (run.work_pool_id, run.work_pool_name) = (Some(self.pool.id), Some(self.pool.name.clone()));
        run.parameters.insert("source".into(), format!("s3://bucket/orders/part-{number:07}.parquet").into());
        run.tags = vec!["orders".into()];
        (run.expected_start_time, run.next_scheduled_start_time) = (Some(due), Some(due));
        (run.state_id, run.state_type, run.state_name) =
            (Some(state.id), Some(StateType::Scheduled), Some(state.name.clone()));
        run.state = Some(state);
        Ok(run)
    }

    /// Returns the polls that are measured, by name.
    fn polls(&self) -> Vec<(&'static str, Poll)> {
        let (all, early) = (self.begin.plus_seconds(86_400.0 * 30.0), self.begin.plus_seconds(-1.0));
        let pool = |more: Value, before| {
            let mut body = json!({"limit": WANTED, "scheduled_before": before});
            if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
                body.extend(more);
            }
            ("/work_pools/pool/get_scheduled_flow_runs".to_owned(), body)
        };
        let queue = |id: WorkQueueId, before| {
            (format!("/work_queues/{id}/get_runs"), json!({"limit": WANTED, "scheduled_before": before}))
        };
        let deployments = |ids: &[DeploymentId], before| {
            let body = json!({"deployment_ids": ids, "limit": WANTED, "scheduled_before": before});
            ("/deployments/get_scheduled_flow_runs".to_owned(), body)
        };
        let mut polls = vec![("pool, 4 queues", pool(json!({}), all))];
        if let Some(last) = self.queues.last() {
            polls.push(("pool, one queue named", pool(json!({"work_queue_names": [last.name]}), all)));
            polls.push(("work queue", queue(last.id, all)));
        }
        polls.push(("deployment", deployments(self.deployments.get(..1).unwrap_or_default(), all)));
        polls.push(("20 deployments", deployments(&self.deployments, all)));
        polls.push(("pool, nothing due", pool(json!({}), early)));
        polls.push(("20 deployments, nothing due", deployments(&self.deployments, early)));
        polls
    }

    async fn measure(&self, (path, body): &Poll, rounds: usize) -> Outcome<Measured> {
        // The first one notes that the queues were polled, which the next ones need not.
        ask(&self.app, path, body).await?;
        let (mut times, mut last) = (Vec::with_capacity(rounds), (Value::Null, HeaderMap::new()));
        for _ in 0..rounds.max(1) {
            let started = Instant::now();
            last = ask(&self.app, path, body).await?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let percentile = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(rank).copied().unwrap_or_default()
        };
        let (answer, headers) = last;
        let told = |name: &str| -> Outcome<&str> { Ok(headers.get(name).ok_or("the cost is told")?.to_str()?) };
        Ok(Measured {
            returned: answer.as_array().map_or(0, Vec::len),
            p50: percentile(50),
            p95: percentile(95),
            items: told("x-proctor-items-read")?.parse()?,
            read_units: told("x-proctor-read-units")?.parse()?,
            round_trips: told("x-proctor-round-trips")?.parse()?,
        })
    }
}

/// Returns the queue of the deployment `number`: the deployments are in the queues in turn.
fn queue_of(queues: &[WorkQueue], number: usize) -> Option<&WorkQueue> {
    queues.get(number % queues.len().max(1))
}

/// Sends a request to the product that is to succeed, and returns its answer with the headers that tell its cost.
async fn ask(app: &Router, path: &str, body: &Value) -> Outcome<(Value, HeaderMap)> {
    use tower::ServiceExt as _;

    let request = Request::builder().method("POST").uri(format!("/api{path}")).header("x-proctor-explain", "1");
    let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))?;
    let answer = app.clone().oneshot(request).await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = to_bytes(answer.into_body(), usize::MAX).await?;
    if !status.is_success() {
        return Err(format!("{path}: {status} {}", String::from_utf8_lossy(&body)).into());
    }
    Ok((serde_json::from_slice(&body)?, headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_poll_reads_as_much_when_more_runs_wait() {
        for shards in [1, 4] {
            let mut world = World::new(Database::in_memory().unwrap(), Shards(shards)).await.unwrap();
            // As many in each queue and of each deployment as a poll asks for.
            world.fill(WANTED * DEPLOYMENTS).await.unwrap();
            let mut few = Vec::new();
            for (name, poll) in world.polls() {
                few.push((name, world.measure(&poll, 1).await.unwrap()));
            }
            world.fill(5 * WANTED * DEPLOYMENTS).await.unwrap();
            for ((name, poll), (_, few)) in world.polls().into_iter().zip(few) {
                let many = world.measure(&poll, 1).await.unwrap();
                let expected = if name.ends_with("nothing due") { 0 } else { WANTED };
                assert_eq!((few.returned, many.returned), (expected, expected), "{name}");
                // How the next ones are spread over the partitions is left to chance.
                let partitions = usize::from(shards) * if name.starts_with("20 ") { DEPLOYMENTS } else { 1 };
                let slack = if partitions == 1 { 0 } else { 4 * WANTED as u64 };
                assert!(many.items <= few.items + slack, "{name}: {few:?} {many:?}");
            }
        }
    }
}
