//! One round of load: a number of workers perform a scenario until the time is up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::machine;
use crate::runs::Errors;
use crate::scenario::{Fixture, Scenario, Worker};
use crate::statistics;

/// How long after a round's end an answer may still come; after that the attempt counts as unfinished.
const GRACE: Duration = Duration::from_secs(15);

/// What came of the rounds of one server with one scenario and one number of clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Latencies of the successful attempts, sorted.
    latencies: Vec<Duration>,
    units: u64,
    /// The time that throughput is counted over.
    elapsed: Duration,
    /// The time from the rounds' starts to their last answers, successes or not.
    whole: Duration,
    /// CPU time of the load generator itself in the whole time.
    generator: Duration,
    pub(crate) errors: Errors,
    /// Units a second of each round.
    rounds: Vec<f64>,
}

impl Tally {
    /// Units of successful work a second, over all rounds.
    pub(crate) fn throughput(&self) -> Option<f64> {
        statistics::throughput(self.units, self.elapsed)
    }

    /// The latency that `percent` of the successful attempts stay within.
    pub(crate) fn percentile(&self, percent: u32) -> Option<Duration> {
        statistics::percentile(&self.latencies, percent)
    }

    /// How many attempts did not succeed.
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The load generator's CPU time in percent of one core.
    pub(crate) fn generator_percent(&self) -> Option<f64> {
        let share = self.generator.as_secs_f64() / self.whole.as_secs_f64();
        share.is_finite().then_some(share * 100.0)
    }

    /// The load generator's CPU time for each successful attempt.
    pub(crate) fn generator_cost(&self) -> Option<Duration> {
        let attempts = u32::try_from(self.latencies.len()).ok()?;
        self.generator.checked_div(attempts)
    }

    /// Adds another round.
    pub(crate) fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable();
        self.units += other.units;
        self.elapsed += other.elapsed;
        self.whole += other.whole;
        self.generator += other.generator;
        self.rounds.extend(other.rounds);
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
    }

    /// Every number of the tally; latencies in milliseconds, times in seconds.
    pub(crate) fn json(&self) -> Value {
        let milliseconds = |percent| self.percentile(percent).map(|latency| latency.as_secs_f64() * 1_000.0);
        json!({
            "throughput": self.throughput(),
            "rounds": self.rounds,
            "p50_ms": milliseconds(50),
            "p99_ms": milliseconds(99),
            "max_ms": milliseconds(100),
            "successes": self.latencies.len(),
            "units": self.units,
            "seconds": self.elapsed.as_secs_f64(),
            "errors": self.errors,
            "generator_cpu_percent": self.generator_percent(),
        })
    }
}

/// Lets `clients` workers perform the scenario for `limit`, and waits for what is then outstanding.
///
/// Throughput is counted until the last success or `limit`, whichever is later: a server that answers many requests
/// at once, slowly, gets them counted, and one that keeps a request waiting for an error loses nothing by it.
pub(crate) async fn round(
    scenario: Scenario,
    fixture: &Arc<Fixture>,
    clients: usize,
    limit: Duration,
) -> Result<Tally, String> {
    let mut workers = Vec::with_capacity(clients);
    for number in 0..clients {
        workers.push(Worker::connect(scenario, fixture, number).await?);
    }
    let cpu = machine::cpu_time();
    let started = Instant::now();
    let tasks: JoinSet<_> = workers.into_iter().map(|worker| work(worker, started, limit)).collect();
    let mut total = Tally::default();
    let mut last_success = Duration::ZERO;
    for (tally, success) in tasks.join_all().await {
        total.add(tally);
        last_success = last_success.max(success);
    }
    total.whole = started.elapsed();
    total.elapsed = last_success.max(limit.min(total.whole));
    total.generator = machine::cpu_time().saturating_sub(cpu);
    total.rounds = total.throughput().into_iter().collect();
    Ok(total)
}

/// One worker's share of a round, and when after `started` its last success came.
async fn work(mut worker: Worker, started: Instant, limit: Duration) -> (Tally, Duration) {
    let mut tally = Tally::default();
    let mut last_success = Duration::ZERO;
    while started.elapsed() < limit {
        let left = (limit + GRACE).saturating_sub(started.elapsed());
        let outcome = match tokio::time::timeout(left, worker.perform()).await {
            Ok(Some(attempt)) => attempt.outcome.map(|units| (units, attempt.latency)),
            Ok(None) => break,
            Err(_) => Err("unfinished".to_owned()),
        };
        match outcome {
            Ok((units, latency)) => {
                tally.units += units;
                tally.latencies.push(latency);
                last_success = started.elapsed();
            }
            Err(error) => *tally.errors.entry(error).or_default() += 1,
        }
    }
    (tally, last_success)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(latencies: &[u64], seconds: u64, error: &str) -> Tally {
        Tally {
            latencies: latencies.iter().copied().map(Duration::from_millis).collect(),
            units: latencies.len() as u64,
            elapsed: Duration::from_secs(seconds),
            whole: Duration::from_secs(seconds * 2),
            generator: Duration::from_secs(seconds) / 4,
            errors: Errors::from([(error.to_owned(), 1)]),
            rounds: vec![],
        }
    }

    #[test]
    fn rounds_are_pooled() {
        let mut pooled = tally(&[5, 9], 1, "503");
        pooled.add(tally(&[1, 2, 3, 4], 2, "503"));
        assert_eq!(pooled.throughput(), Some(2.0));
        assert_eq!(pooled.percentile(50), Some(Duration::from_millis(3)));
        assert_eq!(pooled.percentile(99), Some(Duration::from_millis(9)));
        assert_eq!(pooled.errors, Errors::from([("503".to_owned(), 2)]));
        assert_eq!(pooled.generator_percent(), Some(12.5));
        assert_eq!(pooled.generator_cost(), Some(Duration::from_millis(125)));
    }

    #[test]
    fn nothing_done_has_no_numbers() {
        let nothing = Tally::default();
        assert_eq!((nothing.throughput(), nothing.percentile(50)), (None, None));
        assert_eq!((nothing.generator_percent(), nothing.generator_cost()), (None, None));
    }
}
