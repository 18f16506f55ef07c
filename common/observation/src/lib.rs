//! What is noted while a request is carried out, and told about it at its end: one line, and in the cloud its metrics.
//!
//! In the cloud the line is JSON in CloudWatch's embedded metric format (AWS: "Specification: Embedded metric
//! format"): CloudWatch takes the metrics out of the log by itself, so that nothing is sent for them. They have one
//! dimension, the table, which tells deployments apart. Each further value of a dimension would be a metric that is
//! paid for; by operation, Lambda has its own metrics, and the lines can be queried.

use std::{cell::RefCell, io::Write, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use domain::{
    access::key,
    model::{ApiKeyId, Timestamp},
    orchestration::{Hook, Status, Step, Verdict},
};
use settings::Channel;
use store::cost::Cost;

/// What code on a request's way noted about it.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// The flow run or task run that it was about.
    pub run: Option<Uuid>,
    /// What became of the state that it proposed, and why.
    pub verdict: Option<Verdict>,
    /// The parts of orchestration rules that ran, in order.
    pub trace: Vec<Step>,
    /// The API key that it came with.
    pub caller: Option<ApiKeyId>,
    /// How much work failed for good and was put aside.
    pub dead_letters: u64,
}

tokio::task_local! {
    static CONTEXT: RefCell<RequestContext>;
}

/// Runs `work` and returns its output with what was noted meanwhile.
pub async fn observed<T>(work: impl Future<Output = T>) -> (T, RequestContext) {
    CONTEXT
        .scope(RefCell::default(), async {
            let output = work.await;
            (output, CONTEXT.with(RefCell::take))
        })
        .await
}

/// Adds something about the running request, if one is being observed.
pub fn annotate(change: impl FnOnce(&mut RequestContext)) {
    let _ = CONTEXT.try_with(|context| change(&mut context.borrow_mut()));
}

/// How a request, or a batch of records, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// The caller asked for something that is refused: an answer of 400 and above.
    Refused,
    /// It failed for a fault of ours or of the store: an answer of 500 and above.
    Failed,
}

impl Outcome {
    /// Returns the outcome that the status of an answer stands for.
    pub fn of_status(status: u16) -> Self {
        match status {
            500.. => Self::Failed,
            400.. => Self::Refused,
            _ => Self::Done,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Everything that is told about a request or a batch.
#[derive(Clone, Debug)]
pub struct Report {
    /// Identifies the invocation: Lambda's request id, where there is one.
    pub request_id: String,
    /// What was carried out: the route's operation, or the consumer's name.
    pub operation: &'static str,
    /// The HTTP request, for those that are one.
    pub request: Option<HttpRequest>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub latency: Duration,
    /// What it cost at the store.
    pub cost: Cost,
    /// What was noted on its way.
    pub context: RequestContext,
}

/// What a report says of an HTTP request; its headers, query and body stay out of the log.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

/// The namespace of the metrics.
pub const NAMESPACE: &str = "Proctor";

/// The dimension of the metrics.
pub const DIMENSION: &str = "Table";

/// The metrics and their units, as CloudWatch names them.
pub const METRICS: [(&str, &str); 8] = [
    ("Latency", "Milliseconds"),
    ("StoreRoundTrips", "Count"),
    ("ReadUnits", "Count"),
    ("WriteUnits", "Count"),
    ("Conflicts", "Count"),
    ("Retries", "Count"),
    ("UnreadableRecords", "Count"),
    ("DeadLetters", "Count"),
];

impl Report {
    /// Tells what happened over `channel`, of a deployment that has this table.
    pub fn emit(&self, channel: Channel, table: &str) {
        match channel {
            Channel::Log => self.log(),
            Channel::Metrics => {
                let mut line = self.line(table, Timestamp::now()).to_string();
                line.push('\n');
                // Nowhere is left to complain to if this fails.
                let _ = std::io::stdout().lock().write_all(line.as_bytes());
            }
        }
    }

    fn log(&self) {
        let request = self.request.as_ref();
        tracing::info!(
            method = request.map(|request| request.method.as_str()),
            path = request.map(|request| request.path.as_str()),
            operation = self.operation,
            status = request.map(|request| request.status),
            milliseconds = self.milliseconds(),
            outcome = self.outcome.name(),
            request_id = self.request_id,
            run_id = self.context.run.map(tracing::field::display),
            verdict = self.verdict(),
            reason = self.reason(),
            rules = self.rules(),
            key = self.context.caller.map(key::shown),
            store.round_trips = self.cost.round_trips,
            store.items_read = self.cost.items_read,
            store.read_units = self.cost.read_units,
            store.write_units = self.cost.write_units,
            store.conflicts = self.cost.conflicts,
            store.retries = self.cost.retries,
            store.unreadable = self.cost.unreadable,
            store.plan = self.cost.explained(),
            "request"
        );
    }

    /// Returns the line with the metrics of `table`.
    fn line(&self, table: &str, now: Timestamp) -> Value {
        let definitions: Vec<Value> = METRICS.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": now.as_micros() / 1_000,
                "CloudWatchMetrics": [
                    {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": definitions},
                ],
            },
            DIMENSION: table,
            "Latency": self.milliseconds(),
            "StoreRoundTrips": self.cost.round_trips,
            "ReadUnits": self.cost.read_units,
            "WriteUnits": self.cost.write_units,
            "Conflicts": self.cost.conflicts,
            "Retries": self.cost.retries,
            "UnreadableRecords": self.cost.unreadable,
            "DeadLetters": self.context.dead_letters,
            "level": if self.outcome == Outcome::Failed { "ERROR" } else { "INFO" },
            "message": "request",
            "request_id": self.request_id,
            "operation": self.operation,
            "outcome": self.outcome.name(),
        });
        let optional = [
            ("method", self.request.as_ref().map(|request| request.method.clone().into())),
            ("path", self.request.as_ref().map(|request| request.path.clone().into())),
            ("status", self.request.as_ref().map(|request| request.status.into())),
            ("run_id", self.context.run.map(|run| run.to_string().into())),
            ("verdict", self.verdict().map(Value::from)),
            ("reason", self.reason().map(Value::from)),
            ("rules", self.rules().map(Value::from)),
            ("key", self.context.caller.map(|id| key::shown(id).into())),
            ("plan", self.cost.explained().map(Value::from)),
        ];
        if let Value::Object(fields) = &mut line {
            fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        }
        line
    }

    fn milliseconds(&self) -> f64 {
        self.latency.as_secs_f64() * 1_000.0
    }

    fn verdict(&self) -> Option<&'static str> {
        Some(match self.context.verdict.as_ref()?.status() {
            Status::Accept => "ACCEPT",
            Status::Reject => "REJECT",
            Status::Abort => "ABORT",
            Status::Wait => "WAIT",
        })
    }

    fn reason(&self) -> Option<&str> {
        match self.context.verdict.as_ref()? {
            Verdict::Accept => None,
            Verdict::Reject { reason } | Verdict::Abort { reason } | Verdict::Wait { reason, .. } => Some(reason),
        }
    }

    /// Returns the orchestration trace: the rules that took part and which of their parts ran.
    fn rules(&self) -> Option<String> {
        let parts = self.context.trace.iter().map(|step| {
            let hook = match step.hook {
                Hook::Before => "before",
                Hook::After => "after",
                Hook::CleanUp => "clean-up",
            };
            format!("{}.{hook}", step.rule)
        });
        Some(parts.collect::<Vec<_>>().join(" ")).filter(|rules| !rules.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::cost::Queried;

    fn report() -> Report {
        Report {
            request_id: "c6af9ac6".into(),
            operation: "set_flow_run_state",
            request: Some(HttpRequest { method: "POST".into(), path: "/api/flow_runs/…".into(), status: 200 }),
            outcome: Outcome::of_status(200),
            latency: Duration::from_micros(1_500),
            cost: Cost {
                round_trips: 2,
                items_read: 1,
                read_units: 1.0,
                write_units: 20.0,
                conflicts: 1,
                retries: 3,
                unreadable: 0,
                plan: [("by_state", Queried { shards: 8, pages: 9, items: 40 })].into(),
                returned: 25,
            },
            context: RequestContext {
                run: Some(Uuid::nil()),
                verdict: Some(Verdict::Reject { reason: "Already running".into() }),
                trace: vec![Step { rule: "CacheRetrieval", hook: Hook::Before }],
                caller: Some(ApiKeyId(Uuid::nil())),
                dead_letters: 0,
            },
        }
    }

    #[test]
    fn a_line_is_in_the_embedded_metric_format() {
        let line = report().line("proctor-records", "2026-01-31T09:30:00Z".parse().unwrap());
        assert_eq!(line["_aws"]["Timestamp"], 1_769_851_800_000_i64);
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        for directive in directives {
            assert_eq!(directive["Namespace"], NAMESPACE);
            for dimension in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
            {
                assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension} is a text at the top level");
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert_eq!(metrics.len(), METRICS.len());
            for metric in metrics {
                assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric} is a number at the top level");
                assert!(["Milliseconds", "Count"].contains(&metric["Unit"].as_str().unwrap()));
            }
        }
        assert!(!line.to_string().contains('\n'), "one event of the log is one line");
    }

    #[test]
    fn a_line_tells_the_whole_story() {
        let line = report().line("proctor-records", Timestamp::now());
        let expected = json!({
            "Table": "proctor-records",
            "Latency": 1.5, "StoreRoundTrips": 2, "ReadUnits": 1.0, "WriteUnits": 20.0, "Conflicts": 1, "Retries": 3,
            "UnreadableRecords": 0, "DeadLetters": 0,
            "level": "INFO", "message": "request", "request_id": "c6af9ac6", "operation": "set_flow_run_state",
            "outcome": "done", "method": "POST", "path": "/api/flow_runs/…", "status": 200,
            "run_id": "00000000-0000-0000-0000-000000000000", "verdict": "REJECT", "reason": "Already running",
            "rules": "CacheRetrieval.before", "key": "proctor_00000000000000000000000000000000",
            "plan": "by_state: 8 shards, 9 pages, 40 items; returned: 25",
        });
        let mut told = line.as_object().unwrap().clone();
        told.remove("_aws");
        assert_eq!(Value::Object(told), expected);
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let line = Report { request: None, context: RequestContext::default(), cost: Cost::default(), ..report() }
            .line("t", Timestamp::now());
        for name in ["method", "path", "status", "run_id", "verdict", "reason", "rules", "key", "plan"] {
            assert!(line.get(name).is_none(), "{name}");
        }
    }

    #[tokio::test]
    async fn notes_are_those_of_the_request() {
        annotate(|context| context.run = Some(Uuid::max()));
        let ((), context) = observed(async {
            tokio::task::yield_now().await;
            annotate(|context| context.run = Some(Uuid::nil()));
        })
        .await;
        assert_eq!(context.run, Some(Uuid::nil()));
    }

    #[test]
    fn a_fault_of_ours_is_a_failure_and_one_of_the_callers_is_none() {
        let outcomes = [200, 307, 404, 503].map(Outcome::of_status);
        assert_eq!(outcomes, [Outcome::Done, Outcome::Done, Outcome::Refused, Outcome::Failed]);
    }
}
