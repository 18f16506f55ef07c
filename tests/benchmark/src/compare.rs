//! The run: both servers come up, hold the same, and take turns under the same load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::http::{Cost, Endpoint};
use crate::load::{Tally, round};
use crate::options::Options;
use crate::runs::{Errors, Filling, fill, holdings};
use crate::scenario::{BlockKind, Fixture, Scenario, Worker};
use crate::server::{Launch, Server};
use crate::statistics::{mean, throughput};

/// The numbers of clients that each scenario is measured with.
pub(crate) const CLIENTS: [usize; 2] = [1, 16];

/// How long a server that was paused gets to catch up with itself before it is measured.
const SETTLE: Duration = Duration::from_millis(300);

/// How long a server that just started gets before its idle memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// How long a warm-up lasts.
const WARM_UP: Duration = Duration::from_millis(500);

/// Fresh runs for a warm-up of `set_state`.
const WARM_UP_RUNS: usize = 10;

/// Attempts that are asked for their cost; three are a whole cycle of states.
const EXPLAINED: usize = 6;

/// What is known of one server apart from the scenarios.
#[derive(Debug, Default)]
pub(crate) struct Footprint {
    /// Process start to the first healthy answer, of each start.
    pub(crate) startups: Vec<Duration>,
    /// Resident bytes right after the start.
    pub(crate) idle: Option<u64>,
    /// Resident bytes with the loaded runs.
    pub(crate) loaded: Option<u64>,
    /// Resident bytes when every scenario was done.
    pub(crate) finished: Option<u64>,
    /// What failed while runs were loaded or made ready.
    pub(crate) loading_errors: Errors,
    /// Seconds that loading took.
    pub(crate) loading: Duration,
}

/// The same for both servers.
#[derive(Debug, Default)]
pub(crate) struct Pair<T> {
    pub(crate) oracle: T,
    pub(crate) subject: T,
}

/// One line of the report.
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) scenario: Scenario,
    pub(crate) clients: usize,
    pub(crate) tallies: Pair<Tally>,
    /// The mean cost of one attempt on the subject, where it tells.
    pub(crate) cost: Option<Cost>,
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) footprints: Pair<Footprint>,
    pub(crate) measurements: Vec<Measurement>,
}

impl Comparison {
    /// How many requests failed on the subject, loading included.
    pub(crate) fn subject_errors(&self) -> u64 {
        let loading: u64 = self.footprints.subject.loading_errors.values().sum();
        loading + self.measurements.iter().map(|measurement| measurement.tallies.subject.failed()).sum::<u64>()
    }
}

fn launches(options: &Options) -> Result<Pair<Launch>, String> {
    let running = |url: &String| Endpoint::parse(url).map(Launch::Running);
    let start_oracle = || Launch::Oracle { env: options.oracle_env.clone() };
    let oracle = options.oracle_url.as_ref().map_or_else(|| Ok(start_oracle()), running)?;
    let subject = match &options.subject_url {
        Some(url) => running(url)?,
        None if options.calibrate => start_oracle(),
        None => Launch::Subject { binary: options.server.clone(), on_file: options.data },
    };
    Ok(Pair { oracle, subject })
}

/// One server with what its workers need.
struct Side {
    server: Server,
    fixture: Arc<Fixture>,
    footprint: Footprint,
    /// Connections that make fresh runs at once.
    creators: usize,
    /// Transitions a second, as last measured: it says how many fresh runs the next round of `set_state` needs.
    transitions: f64,
}

/// Starts a server and reads its idle memory.
async fn start(launch: &Launch, footprint: &mut Footprint) -> Result<Server, String> {
    let (server, startup) = launch.start().await?;
    footprint.startups.extend(startup);
    tokio::time::sleep(IDLE).await;
    footprint.idle = server.resident();
    Ok(server)
}

/// Starts both servers in turn, as often as asked, and leaves the last ones running but paused.
async fn start_both(options: &Options, footprints: &mut Pair<Footprint>) -> Result<Pair<Server>, String> {
    let launches = launches(options)?;
    for repetition in 1..=options.starts() {
        note(&format!("starting both servers ({repetition} of {})", options.starts()));
        let oracle = start(&launches.oracle, &mut footprints.oracle).await?;
        oracle.pause()?;
        let subject = start(&launches.subject, &mut footprints.subject).await?;
        subject.pause()?;
        if repetition == options.starts() {
            return Ok(Pair { oracle, subject });
        }
        oracle.stop().await?;
        subject.stop().await?;
    }
    Err("there is nothing to start".to_owned())
}

/// Runs the whole comparison.
pub(crate) async fn compare(options: &Options) -> Result<Comparison, String> {
    let mut footprints = Pair::default();
    let servers = start_both(options, &mut footprints).await?;
    let (mut oracle, mut subject) = fill_both(options, servers, footprints).await?;

    let mut measurements = Vec::new();
    for scenario in options.scenarios() {
        measurements.extend(measure(scenario, options, &mut oracle, &mut subject).await?);
    }

    oracle.footprint.finished = oracle.server.resident();
    subject.footprint.finished = subject.server.resident();
    oracle.server.stop().await?;
    subject.server.stop().await?;
    Ok(Comparison { footprints: Pair { oracle: oracle.footprint, subject: subject.footprint }, measurements })
}

/// Makes both servers hold the same runs, and proves it by their answers.
async fn fill_both(
    options: &Options,
    servers: Pair<Server>,
    footprints: Pair<Footprint>,
) -> Result<(Side, Side), String> {
    let base = Utc::now();
    let mut sides = Vec::new();
    for (name, server, mut footprint, is_oracle) in [
        ("the oracle", servers.oracle, footprints.oracle, true),
        ("the subject", servers.subject, footprints.subject, options.calibrate),
    ] {
        note(&format!("filling {name} with {} runs", options.runs));
        server.resume()?;
        let started = Instant::now();
        let database = if is_oracle { server.database() } else { None };
        let filling = match &database {
            Some(database) => Filling::Seed { env: &options.oracle_env, database },
            None => Filling::App,
        };
        let (flow, errors) = fill(&server.endpoint, options.runs, base, filling).await?;
        footprint.loading = started.elapsed();
        footprint.loading_errors = errors;
        let (held, ids) = holdings(&server.endpoint, options.runs).await?;
        footprint.loaded = server.resident();
        let block = BlockKind::make(&server.endpoint).await?;
        server.pause()?;
        // The oracle answers 503 to creations at once, and each of them holds up the others.
        let creators = if is_oracle { 1 } else { 4 };
        let completed = held.by_state.get("COMPLETED").copied().unwrap_or_default();
        let fixture = Fixture::new(server.endpoint.clone(), flow, ids, held.total, completed).with_block(block);
        let fixture = Arc::new(fixture);
        sides.push((Side { server, fixture, footprint, creators, transitions: 0.0 }, held));
    }
    match (sides.pop(), sides.pop()) {
        (Some((subject, of_subject)), Some((oracle, of_oracle))) if of_subject == of_oracle => Ok((oracle, subject)),
        (Some((_, of_subject)), Some((_, of_oracle))) => Err(format!(
            "the servers do not hold the same runs: the oracle {} {:?}, the subject {} {:?}, or their pages differ",
            of_oracle.total, of_oracle.by_state, of_subject.total, of_subject.by_state
        )),
        _ => Err("there are not two servers".to_owned()),
    }
}

/// Measures one scenario with each number of clients, both servers in turn.
async fn measure(
    scenario: Scenario,
    options: &Options,
    oracle: &mut Side,
    subject: &mut Side,
) -> Result<Vec<Measurement>, String> {
    note(scenario.name());
    for side in [&mut *oracle, &mut *subject] {
        let warm_up = turn(side, scenario, 1, WARM_UP, WARM_UP_RUNS).await?;
        side.transitions = warm_up.throughput().unwrap_or_default();
    }
    let mut measurements = Vec::new();
    for clients in CLIENTS {
        let mut tallies: Pair<Tally> = Pair::default();
        for _ in 0..options.rounds() {
            for (side, tally) in [(&mut *oracle, &mut tallies.oracle), (&mut *subject, &mut tallies.subject)] {
                let fresh = fresh_runs(side.transitions, options.round(), clients);
                let result = turn(side, scenario, clients, options.round(), fresh).await?;
                side.transitions = result.throughput().unwrap_or_default();
                tally.add(result);
            }
        }
        note(&format!("  {clients} clients: {}", summary(&tallies)));
        measurements.push(Measurement { scenario, clients, tallies, cost: None });
    }
    if let Some(first) = measurements.first_mut() {
        first.cost = cost(scenario, subject).await?;
    }
    Ok(measurements)
}

/// How many scheduled runs a round of `set_state` may use up, with room for a faster round than the last one.
fn fresh_runs(transitions: f64, limit: Duration, clients: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped to what fits")]
    let expected = (transitions * limit.as_secs_f64() / 3.0 * 1.5).clamp(0.0, 30_000.0) as usize;
    expected + WARM_UP_RUNS + clients * 2
}

/// Loads one server while the other is paused.
async fn turn(
    side: &mut Side,
    scenario: Scenario,
    clients: usize,
    limit: Duration,
    fresh: usize,
) -> Result<Tally, String> {
    side.server.resume()?;
    tokio::time::sleep(SETTLE).await;
    if scenario == Scenario::SetState {
        let errors = side.fixture.refresh(fresh, side.creators).await?;
        for (error, count) in errors {
            *side.footprint.loading_errors.entry(error).or_default() += count;
        }
    }
    let tally = round(scenario, &side.fixture, clients, limit).await?;
    side.server.pause()?;
    Ok(tally)
}

/// Asks the subject what a scenario's operations cost in its database, none when it does not tell.
async fn cost(scenario: Scenario, subject: &Side) -> Result<Option<Cost>, String> {
    subject.server.resume()?;
    if scenario == Scenario::SetState {
        subject.fixture.refresh(EXPLAINED, 1).await?;
    }
    let mut worker = Worker::connect(scenario, &subject.fixture, 0).await?;
    worker.explain();
    let mut costs: Vec<Cost> = Vec::new();
    for _ in 0..EXPLAINED {
        costs.extend(worker.perform().await.and_then(|attempt| attempt.cost));
    }
    subject.server.pause()?;
    let average = |part: fn(&Cost) -> f64| mean(&costs.iter().map(part).collect::<Vec<_>>());
    let parts = (average(|cost| cost.round_trips), average(|cost| cost.read_units), average(|cost| cost.write_units));
    Ok(match parts {
        (Some(round_trips), Some(read_units), Some(write_units)) => Some(Cost { round_trips, read_units, write_units }),
        _ => None,
    })
}

fn summary(tallies: &Pair<Tally>) -> String {
    let side = |tally: &Tally| {
        let throughput = tally.throughput().unwrap_or_default();
        format!("{throughput:.1}/s, {} errors", tally.failed())
    };
    format!("oracle {}; subject {}", side(&tallies.oracle), side(&tallies.subject))
}

/// Progress goes to stderr, so that stdout is the report alone.
fn note(text: &str) {
    eprintln!("[benchmark] {text}");
}

/// Runs a second that filling took, for the report.
pub(crate) fn filling_rate(runs: u32, footprint: &Footprint) -> Option<f64> {
    throughput(u64::from(runs), footprint.loading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_runs_outlast_a_faster_round() {
        assert_eq!(fresh_runs(0.0, Duration::from_secs(5), 1), 12);
        assert_eq!(fresh_runs(300.0, Duration::from_secs(5), 16), 750 + 42);
        assert_eq!(fresh_runs(f64::MAX, Duration::from_secs(5), 16), 30_042);
    }
}
