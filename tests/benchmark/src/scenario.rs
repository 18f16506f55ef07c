//! What is measured: the scenarios, and the worker that performs one of them over one connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use clap::ValueEnum;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::events::{Batch, EVENTS, EventSocket, TASK_RUNS, text};
use crate::http::{Answer, Connection, Cost, Endpoint};
use crate::runs::{Errors, PAGE, id_of, insist};

/// Log lines in one batch.
const LOGS: usize = 100;

/// How long a batch of task-run events may take to become readable.
const READABLE_WITHIN: Duration = Duration::from_secs(30);

/// The longest pause between two looks at whether task runs are readable.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// The states that a fresh run is taken through.
const CYCLE: [&str; 3] = ["PENDING", "RUNNING", "COMPLETED"];

/// One measured operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// `GET /flow_runs/{id}` of the loaded runs.
    ReadFlowRun,
    /// `POST /flow_runs/filter`: 200 runs by `START_TIME_DESC`.
    FilterFlowRuns,
    /// `POST /flow_runs/count` without a filter.
    CountFlowRuns,
    /// `POST /flow_runs/count` of the completed runs.
    CountByState,
    /// `POST /logs/` with 100 lines.
    CreateLogs,
    /// `POST /flow_runs/`.
    CreateFlowRun,
    /// `POST /flow_runs/{id}/set_state`: PENDING, RUNNING, COMPLETED on fresh scheduled runs.
    SetState,
    /// Task-run events over the websocket, until the task runs are readable.
    EventsSocket,
    /// Task-run events by `POST /events`, until the task runs are readable.
    EventsPost,
    /// `GET /block_types/slug/{slug}/block_documents/name/{name}` of a block with secrets, as `Block.load` does.
    LoadBlock,
    /// `POST /block_documents/` of a block with secrets.
    SaveBlock,
    /// `POST /events/count-by/event` of the last hour: how many events of each name there were.
    CountEvents,
}

impl Scenario {
    /// Every scenario in the order in which they run: those that only read first, while both servers hold the same.
    pub(crate) const ALL: [Self; 12] = [
        Self::ReadFlowRun,
        Self::FilterFlowRuns,
        Self::CountFlowRuns,
        Self::CountByState,
        Self::CreateLogs,
        Self::CreateFlowRun,
        Self::SetState,
        Self::EventsSocket,
        Self::EventsPost,
        Self::LoadBlock,
        Self::SaveBlock,
        Self::CountEvents,
    ];

    /// The name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadFlowRun => "read flow run",
            Self::FilterFlowRuns => "filter (200 by start time)",
            Self::CountFlowRuns => "count (all)",
            Self::CountByState => "count (by state type)",
            Self::CreateLogs => "logs (batch of 100)",
            Self::CreateFlowRun => "create_flow_run",
            Self::SetState => "set_state",
            Self::EventsSocket => "task-run events (websocket)",
            Self::EventsPost => "task-run events (POST)",
            Self::LoadBlock => "load a block with secrets",
            Self::SaveBlock => "save a block with secrets",
            Self::CountEvents => "count events by name",
        }
    }

    /// What one unit of its throughput is.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::CreateLogs => "batches",
            Self::EventsSocket | Self::EventsPost => "events",
            _ => "answers",
        }
    }

    /// How many times the oracle's throughput is to be reached, where issue 2 sets a target.
    pub(crate) fn target(self) -> Option<f64> {
        match self {
            Self::ReadFlowRun | Self::CreateFlowRun | Self::SetState => Some(30.0),
            Self::FilterFlowRuns | Self::CountFlowRuns | Self::CountByState => Some(25.0),
            Self::CreateLogs
            | Self::EventsSocket
            | Self::EventsPost
            | Self::LoadBlock
            | Self::SaveBlock
            | Self::CountEvents => None,
        }
    }
}

/// What every worker of one server needs to know about it.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) endpoint: Endpoint,
    pub(crate) flow: String,
    /// Ids of loaded runs, never empty.
    pub(crate) runs: Vec<String>,
    pub(crate) total: u64,
    pub(crate) completed: u64,
    /// Under what a block is saved.
    pub(crate) block: BlockKind,
    /// Scheduled runs that no worker has taken yet.
    fresh: Mutex<Vec<String>>,
}

/// A block type and a schema of it, and the block that is loaded.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockKind {
    block_type: String,
    schema: String,
}

/// The slug of the blocks' type, and the name of the block that is loaded.
const BLOCK: (&str, &str) = ("benchmark", "loaded");

/// What a block holds: a secret, more of them in an object, and what everybody may see.
fn block_data() -> Value {
    let secrets = json!({"access_key": "AKIAIOSFODNN7EXAMPLE", "session": "t".repeat(400)});
    json!({"user": "somebody", "password": "correct horse battery staple", "secrets": secrets, "port": 5432})
}

impl BlockKind {
    /// Makes a type, a schema and the block that is loaded.
    pub(crate) async fn make(endpoint: &Endpoint) -> Result<Self, String> {
        let (mut connection, mut errors) = (Connection::new(endpoint.clone()), Errors::new());
        let (slug, name) = BLOCK;
        let body = json!({"name": slug, "slug": slug});
        let block_type = id_of(&insist(&mut connection, "/block_types/", &body, &mut errors).await?)?;
        let fields = json!({"title": "Benchmark", "type": "object", "secret_fields": ["password", "secrets.*"]});
        let body = json!({"fields": fields, "block_type_id": block_type});
        let schema = id_of(&insist(&mut connection, "/block_schemas/", &body, &mut errors).await?)?;
        let made = Self { block_type, schema };
        insist(&mut connection, "/block_documents/", &made.document(name), &mut errors).await?;
        Ok(made)
    }

    fn document(&self, name: &str) -> Value {
        let Self { block_type, schema } = self;
        json!({"name": name, "data": block_data(), "block_type_id": block_type, "block_schema_id": schema})
    }
}

impl Fixture {
    pub(crate) fn new(endpoint: Endpoint, flow: String, runs: Vec<String>, total: u64, completed: u64) -> Self {
        Self { endpoint, flow, runs, total, completed, block: BlockKind::default(), fresh: Mutex::default() }
    }

    /// Takes under what a block is saved.
    pub(crate) fn with_block(self, block: BlockKind) -> Self {
        Self { block, ..self }
    }

    /// Tops the fresh runs up to `wanted` and returns what failed on the way.
    ///
    /// A server that refuses again and again gets fewer runs, and so a shorter round, instead of ending the benchmark.
    pub(crate) async fn refresh(&self, wanted: usize, creators: usize) -> Result<Errors, String> {
        let missing = wanted.saturating_sub(self.fresh.lock().unwrap_or_else(PoisonError::into_inner).len());
        let creation = Arc::new(json!({"flow_id": self.flow, "state": {"type": "SCHEDULED"}}));
        let mut tasks = JoinSet::new();
        for creator in 0..creators {
            let share = (missing + creator) / creators;
            let (creation, endpoint) = (Arc::clone(&creation), self.endpoint.clone());
            tasks.spawn(async move {
                let mut connection = Connection::new(endpoint);
                let mut errors = Errors::new();
                let mut ids = Vec::with_capacity(share);
                for _ in 0..share {
                    let Ok(run) = insist(&mut connection, "/flow_runs/", &creation, &mut errors).await else { break };
                    ids.push(id_of(&run)?);
                }
                Ok::<_, String>((ids, errors))
            });
        }
        let mut errors = Errors::new();
        while let Some(task) = tasks.join_next().await {
            let (ids, failed) = task.map_err(|error| error.to_string())??;
            self.fresh.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
            for (error, count) in failed {
                *errors.entry(error).or_default() += count;
            }
        }
        Ok(errors)
    }

    fn take_fresh(&self) -> Option<String> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attempt {
    /// The units of work done, or what came instead of a success: a status or a short word.
    pub(crate) outcome: Result<u64, String>,
    pub(crate) latency: Duration,
    pub(crate) cost: Option<Cost>,
}

/// One client: it performs a scenario again and again over its own connection.
#[derive(Debug)]
pub(crate) struct Worker {
    scenario: Scenario,
    fixture: Arc<Fixture>,
    connection: Connection,
    socket: Option<EventSocket>,
    /// Counts the attempts; it starts apart from the other workers' so that they read different runs.
    turn: usize,
    /// The run that is taken through its states, and how many of them it has.
    cycle: Option<(String, usize)>,
}

impl Worker {
    /// A worker with its connections open.
    pub(crate) async fn connect(scenario: Scenario, fixture: &Arc<Fixture>, number: usize) -> Result<Self, String> {
        let mut connection = Connection::new(fixture.endpoint.clone());
        connection.open().await?;
        let mut worker =
            Self { scenario, fixture: Arc::clone(fixture), connection, socket: None, turn: number * 61, cycle: None };
        if scenario == Scenario::EventsSocket {
            worker.socket = Some(EventSocket::open(&fixture.endpoint).await?);
        }
        Ok(worker)
    }

    /// Asks for the cost of every attempt from now on.
    pub(crate) fn explain(&mut self) {
        self.connection.explain();
    }

    /// Performs the scenario once, or returns none when there is nothing left to perform it on.
    pub(crate) async fn perform(&mut self) -> Option<Attempt> {
        self.turn += 1;
        match self.scenario {
            Scenario::ReadFlowRun => {
                let run = self.fixture.runs.get(self.turn % self.fixture.runs.len())?.clone();
                let started = Instant::now();
                let answer = self.connection.get(&format!("/flow_runs/{run}")).await;
                Some(judge(started, answer, |answer| answer.json()["id"] == run.as_str()))
            }
            Scenario::FilterFlowRuns => {
                let body = json!({"sort": "START_TIME_DESC", "limit": PAGE, "offset": 0});
                Some(self.post("/flow_runs/filter", &body, |answer| entries(answer) == PAGE).await)
            }
            Scenario::CountFlowRuns => {
                let total = self.fixture.total;
                Some(self.post("/flow_runs/count", &json!({}), |answer| answer.json() == total).await)
            }
            Scenario::CountByState => {
                let completed = self.fixture.completed;
                let body = json!({"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}});
                Some(self.post("/flow_runs/count", &body, |answer| answer.json() == completed).await)
            }
            Scenario::CreateLogs => {
                let body = self.logs()?;
                Some(self.post("/logs/", &body, |answer| answer.status == 201).await)
            }
            Scenario::CreateFlowRun => {
                let body = json!({
                    "flow_id": self.fixture.flow, "parameters": {"number": self.turn}, "tags": ["benchmark"],
                    "state": {"type": "PENDING"},
                });
                let created = |answer: &Answer| answer.status == 201 && answer.json()["state_type"] == "PENDING";
                Some(self.post("/flow_runs/", &body, created).await)
            }
            Scenario::SetState => self.set_state().await,
            Scenario::LoadBlock => {
                let (slug, name) = BLOCK;
                let path = format!("/block_types/slug/{slug}/block_documents/name/{name}?include_secrets=true");
                let started = Instant::now();
                let answer = self.connection.get(&path).await;
                Some(judge(started, answer, |answer| answer.json()["data"] == block_data()))
            }
            Scenario::SaveBlock => {
                let body = self.fixture.block.document(&uuid::Uuid::new_v4().to_string());
                Some(self.post("/block_documents/", &body, |answer| answer.status == 201).await)
            }
            Scenario::CountEvents => {
                let since = text(Utc::now() - chrono::Duration::hours(1));
                let body = json!({"filter": {"occurred": {"since": since}}});
                Some(self.post("/events/count-by/event", &body, |answer| entries(answer) > 0).await)
            }
            Scenario::EventsSocket | Scenario::EventsPost => Some(self.events().await),
        }
    }

    async fn post(&mut self, path: &str, body: &Value, right: impl FnOnce(&Answer) -> bool) -> Attempt {
        let body = body.to_string();
        let started = Instant::now();
        let answer = self.connection.post(path, body).await;
        judge(started, answer, right)
    }

    fn logs(&self) -> Option<Value> {
        let run = self.fixture.runs.get(self.turn % self.fixture.runs.len())?;
        let timestamp = text(Utc::now());
        let line = |number| {
            json!({
                "name": "prefect.flow_runs", "level": 20, "flow_run_id": run, "timestamp": timestamp,
                "message": format!("Batch {} line {number}: wrote 4096 rows to the warehouse in 0.41 s", self.turn),
            })
        };
        Some((0..LOGS).map(line).collect())
    }

    async fn set_state(&mut self) -> Option<Attempt> {
        let (run, done) = match self.cycle.take() {
            Some(cycle) => cycle,
            None => (self.fixture.take_fresh()?, 0),
        };
        let body = json!({"state": {"type": CYCLE.get(done)?}});
        let accepted = |answer: &Answer| answer.json()["status"] == "ACCEPT";
        let attempt = self.post(&format!("/flow_runs/{run}/set_state"), &body, accepted).await;
        // A run whose transition failed is left alone: its next one would measure something else.
        if attempt.outcome.is_ok() && done + 1 < CYCLE.len() {
            self.cycle = Some((run, done + 1));
        }
        Some(attempt)
    }

    async fn events(&mut self) -> Attempt {
        let flow_run = self.fixture.runs.get(self.turn % self.fixture.runs.len()).cloned().unwrap_or_default();
        let batch = Batch::new(&flow_run);
        let over_socket = self.scenario == Scenario::EventsSocket;
        let body = if over_socket { String::new() } else { json!(batch.events).to_string() };
        let started = Instant::now();
        let mut cost = None;
        let sent = if over_socket {
            self.send_over_socket(batch.events).await
        } else {
            match self.connection.post("/events", body).await {
                Ok(answer) if answer.status == 204 => {
                    cost = answer.cost;
                    Ok(())
                }
                Ok(answer) => Err(answer.status.to_string()),
                Err(_) => Err("transport".to_owned()),
            }
        };
        let outcome = match sent {
            Ok(()) => self.until_readable(&batch.task_run_ids, started).await,
            Err(error) => Err(error),
        };
        Attempt { outcome: outcome.map(|()| EVENTS as u64), latency: started.elapsed(), cost }
    }

    async fn send_over_socket(&mut self, events: Vec<Value>) -> Result<(), String> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => EventSocket::open(&self.fixture.endpoint).await.map_err(|_| "websocket refused".to_owned())?,
        };
        socket.send(events).await.map_err(|_| "websocket closed".to_owned())?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Waits until every task run is completed, looking first at the one whose events were sent last.
    async fn until_readable(&mut self, task_runs: &[uuid::Uuid], started: Instant) -> Result<(), String> {
        let last = task_runs.last().map(|id| format!("/task_runs/{id}")).unwrap_or_default();
        let all = json!({"task_runs": {"id": {"any_": task_runs}, "state": {"type": {"any_": ["COMPLETED"]}}}});
        let mut pause = Duration::from_millis(1);
        while started.elapsed() < READABLE_WITHIN {
            let answer = self.connection.get(&last).await.map_err(|_| "transport".to_owned())?;
            match answer.status {
                200 if answer.json()["state_type"] == "COMPLETED" => {
                    let answer = self.connection.post("/task_runs/count", all.to_string()).await;
                    let answer = answer.map_err(|_| "transport".to_owned())?;
                    match answer.status {
                        200 if answer.json() == TASK_RUNS => return Ok(()),
                        200 => {}
                        status => return Err(status.to_string()),
                    }
                }
                200 | 404 => {}
                status => return Err(status.to_string()),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err("not readable".to_owned())
    }
}

/// Takes the time first and looks at the answer after it.
fn judge(started: Instant, answer: Result<Answer, String>, right: impl FnOnce(&Answer) -> bool) -> Attempt {
    let latency = started.elapsed();
    let (outcome, cost) = match answer {
        Ok(answer) if !(200..300).contains(&answer.status) => (Err(answer.status.to_string()), None),
        Ok(answer) if right(&answer) => (Ok(1), answer.cost),
        Ok(answer) => (Err(format!("wrong {}", answer.status)), None),
        Err(_) => (Err("transport".to_owned()), None),
    };
    Attempt { outcome, latency, cost }
}

/// How many entries a JSON array has, without building them.
fn entries(answer: &Answer) -> usize {
    serde_json::from_slice::<Vec<IgnoredAny>>(&answer.body).map_or(0, |entries| entries.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer { status, body: body.into(), cost: None }
    }

    #[test]
    fn only_a_right_answer_is_a_success() {
        let outcome = |answer| judge(Instant::now(), answer, |answer| entries(answer) == 2).outcome;
        assert_eq!(outcome(Ok(answer(200, r#"[{"id": 1}, {"id": 2}]"#))), Ok(1));
        assert_eq!(outcome(Ok(answer(200, "[]"))), Err("wrong 200".to_owned()));
        assert_eq!(outcome(Ok(answer(503, "[1, 2]"))), Err("503".to_owned()));
        assert_eq!(outcome(Err("reset".to_owned())), Err("transport".to_owned()));
    }
}
