//! What a million of something cost in the cloud, all in, worked out from measured units, calls and durations.
//!
//! Prices are Amazon's of us-east-1 in 2026, in dollars, on demand, without the free tier: the pricing pages of DynamoDB,
//! Lambda, API Gateway, CloudFront and CloudWatch.

use std::fmt::Write as _;

use crate::{
    capacity::Units,
    lifetimes::{Lifetimes, Step},
};

/// A million write request units, and a million read request units (DynamoDB, standard table).
const UNITS: Units = Units { read: 0.125, write: 0.625 };

/// A million requests of an HTTP API (API Gateway).
const API_REQUESTS: f64 = 1.0;

/// A million requests by HTTPS, and a gigabyte sent (CloudFront).
const EDGE: (f64, f64) = (1.0, 0.085);

/// A million invocations, and a second of a gigabyte of memory (Lambda, arm64).
const FUNCTION: (f64, f64) = (0.2, 0.000_013_333_4);

/// A gigabyte of logs taken in (CloudWatch).
const LOGS: f64 = 0.5;

/// The memory of a function in gigabytes, as the template has it by default.
const MEMORY: f64 = 0.25;

/// How many seconds a call of DynamoDB takes a function that waits for it, on average.
const CALL: f64 = 0.005;

/// How many seconds a function takes for a request besides its calls (RESULTS.md, "Cold start", a second request).
const OWN: f64 = 0.001;

/// How many bytes an answer has, and how many lines of logs about a request have: ours, Lambda's report, the access log.
const BYTES: (f64, f64) = (2_000.0, 1_500.0);

/// How many changes the stream's consumer gets at once, where so much is going on that it matters.
const CHANGES: f64 = 10.0;

const MILLION: f64 = 1e6;
const GIGABYTE: f64 = 1e9;

/// What one of something takes.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    requests: f64,
    units: Units,
    /// Calls of DynamoDB, while a client waits or in the consumer.
    calls: f64,
}

impl Taken {
    /// Adds what each run took of `step`: one request of a client, and what followed.
    fn of(step: &Step, runs: f64) -> Self {
        let mut units = Units::default();
        for taken in step.asked.values().chain(step.followed.values()) {
            units.add(*taken, 1.0 / runs);
        }
        Self { requests: 1.0, units, calls: step.calls / runs }
    }

    fn and(mut self, other: Self, share: f64) -> Self {
        self.requests += other.requests * share;
        self.units.add(other.units, share);
        self.calls += other.calls * share;
        self
    }

    /// Returns the dollars of a million, by what they are paid for.
    fn dollars(self) -> [(&'static str, f64); 7] {
        let duration = self.requests * OWN + self.calls * CALL;
        [
            ("DynamoDB, writes", self.units.write * UNITS.write),
            ("DynamoDB, reads", self.units.read * UNITS.read),
            ("API Gateway", self.requests * API_REQUESTS),
            ("Lambda, invocations", (self.requests + self.requests / CHANGES) * FUNCTION.0),
            ("Lambda, time", duration * MEMORY * FUNCTION.1 * MILLION),
            ("CloudWatch", self.requests * BYTES.1 * MILLION / GIGABYTE * LOGS),
            ("CloudFront", self.requests * (EDGE.0 + BYTES.0 * MILLION / GIGABYTE * EDGE.1)),
        ]
    }
}

/// Returns the steps that `name` begins with, averaged, for one run.
fn average(lifetimes: &Lifetimes, name: &str) -> Taken {
    let steps: Vec<&Step> = lifetimes.steps.iter().filter(|step| step.name.starts_with(name)).collect();
    let share = 1.0 / f64::from(u32::try_from(steps.len().max(1)).unwrap_or(u32::MAX));
    steps.into_iter().fold(Taken::default(), |taken, step| taken.and(Taken::of(step, lifetimes.runs()), share))
}

/// Returns what a million transitions of flow runs and a million task runs cost, as a table.
pub(crate) fn table(flow_runs: &Lifetimes, task_runs: &Lifetimes) -> String {
    let transition = average(flow_runs, "set ");
    // A client sends the events of many task runs over one websocket connection, whose messages are billed as requests.
    let task_run =
        task_runs.steps.iter().fold(Taken::default(), |taken, step| taken.and(Taken::of(step, task_runs.runs()), 1.0));
    let columns = [transition.dollars(), task_run.dollars()];
    let mut text = "| $ | a million transitions with their events | a million task runs |\n|---|--:|--:|\n".to_owned();
    for ((what, transitions), (_, task_runs)) in columns[0].iter().zip(columns[1]) {
        let _ = writeln!(text, "| {what} | {transitions:.2} | {task_runs:.2} |");
    }
    let total =
        |column: [(&str, f64); 7], count: usize| column.iter().take(count).map(|(_, dollars)| dollars).sum::<f64>();
    for (what, count) in [("**without CloudFront**", 6), ("**all**", 7)] {
        let _ = writeln!(text, "| {what} | {:.2} | {:.2} |", total(columns[0], count), total(columns[1], count));
    }
    text
}
