//! Whole lifetimes of runs, through the product's own code: the requests of clients, and all that follows from them.
//!
//! The worst that can happen to a partition key: one flow, one deployment, one work queue, or one flow run around all
//! task runs. Each step is taken by every run before the next, so that nothing is written together that comes apart in
//! time.

use std::{collections::BTreeMap, error::Error, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header::CONTENT_TYPE},
};
use common::{
    App, Settings, Store,
    flow_run_creation::{self, NewFlowRun},
    jobs::{
        self, Delivery,
        queue::{Message, Queue},
    },
    model::{Deployment, DeploymentId, Flow, FlowRun, FlowRunId, State, StateType, Timestamp},
    orchestration::Client,
    store::{Shards, table::Subject, work_pools::StoredWorkPool},
    stream::{self, Change},
};
use embedded::{ChangeStream, EmbeddedDatabase, EmbeddedQueue};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use crate::{
    capacity::{PartitionKey, Units},
    recording::Recorder,
};

/// What goes wrong ends the simulation.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// How many changes the stream's consumer gets at once.
///
/// A table so busy has a stream of some forty shards, each read four times a second and handed out by ten consumers at a
/// time: a few changes each, not the hundred that it takes at most. What a batch reads once is read more often then.
const CHANGES_AT_ONCE: usize = 5;

/// How many workers there are, of which each submits as many of the runs.
const WORKERS: usize = 10;

/// How many runs a worker picks up when it polls: as many as are due in a tenth of a second.
const PICKED_UP_AT_ONCE: usize = 100;

/// How many events a client sends at once.
const SENT_AT_ONCE: usize = 50;

/// The states of a task run, one event each.
const TASK_STATES: [(StateType, &str); 3] =
    [(StateType::Pending, "Pending"), (StateType::Running, "Running"), (StateType::Completed, "Completed")];

/// The product in this process, with everything that it asks of DynamoDB recorded.
struct World {
    app: App,
    service: Router,
    queue: Queue,
    inbox: EmbeddedQueue,
    changes: ChangeStream,
    recorder: Recorder,
    steps: Vec<Step>,
}

/// What some lifetimes took.
pub(crate) struct Lifetimes {
    /// How many there were.
    pub(crate) count: usize,
    /// The units of all of them together.
    pub(crate) units: BTreeMap<PartitionKey, Units>,
    /// The same units by what they were spent on, in its order.
    pub(crate) steps: Vec<Step>,
}

impl Lifetimes {
    /// Returns how many there were, to divide by.
    pub(crate) fn runs(&self) -> f64 {
        f64::from(u32::try_from(self.count).unwrap_or(u32::MAX))
    }
}

/// What all lifetimes took together of a step of them.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// The units of what was asked.
    pub(crate) asked: BTreeMap<PartitionKey, Units>,
    /// The units of what followed.
    pub(crate) followed: BTreeMap<PartitionKey, Units>,
    /// How many calls of the database both took.
    pub(crate) calls: f64,
}

/// Records `count` flow runs of one deployment from creation to completion, where the deployment has a limit if `limit` says so.
///
/// A worker picks a run up and makes it pending, its flow makes it running and completed, and both send what the client
/// sends: the process id, labels, events and logs.
pub(crate) async fn of_flow_runs(count: usize, shards: Shards, limit: Option<i64>) -> Outcome<Lifetimes> {
    let mut world = World::new(shards).await?;
    let deployment = world.deployment(limit).await?;
    world.settle().await?;
    world.recorder.take();
    let mut ids = Vec::with_capacity(count);
    for number in 0..count {
        ids.push(world.create(&deployment, number).await?);
    }
    world.step("create, scheduled, with an idempotency key").await?;
    for (number, id) in ids.iter().enumerate() {
        if number % PICKED_UP_AT_ONCE == 0 {
            let poll = json!({"limit": PICKED_UP_AT_ONCE, "scheduled_before": Timestamp::now()});
            world.ask("POST", "/work_pools/pool/get_scheduled_flow_runs", &poll).await?;
        }
        world.ask("POST", "/events", &json!([submission(number % WORKERS, *id, &deployment, "submitted")])).await?;
        // The worker looks at what it is to run.
        world.ask("GET", &format!("/deployments/{}", deployment.id), &Value::Null).await?;
        world.ask("GET", &format!("/flows/{}", deployment.flow_id), &Value::Null).await?;
    }
    world.step("the worker's event that it submits the run").await?;
    for (number, id) in ids.iter().enumerate() {
        let labels = json!({"prefect.worker.name": name_of(number % WORKERS)});
        world.ask("PATCH", &format!("/flow_runs/{id}/labels"), &labels).await?;
    }
    world.step("PATCH labels").await?;
    for id in &ids {
        world.set_state(*id, StateType::Pending).await?;
    }
    world.step("set PENDING").await?;
    for id in &ids {
        world.ask("PATCH", &format!("/flow_runs/{id}"), &json!({"infrastructure_pid": "worker-host:12345"})).await?;
    }
    world.step("PATCH the process id").await?;
    for id in &ids {
        world.ask("GET", &format!("/flow_runs/{id}"), &Value::Null).await?;
        // The flow's process loads the flow by the deployment, and reads once more what its events name.
        world.ask("GET", &format!("/deployments/{}", deployment.id), &Value::Null).await?;
        world.ask("GET", &format!("/deployments/{}", deployment.id), &Value::Null).await?;
        world.ask("GET", &format!("/flows/{}", deployment.flow_id), &Value::Null).await?;
        world.ask("GET", "/work_pools/pool", &Value::Null).await?;
    }
    world.step("the process reads the run, its deployment, flow and pool").await?;
    for id in &ids {
        world.set_state(*id, StateType::Running).await?;
    }
    world.step("set RUNNING").await?;
    for id in &ids {
        world.ask("POST", "/logs/", &json!([log(*id), log(*id), log(*id), log(*id), log(*id)])).await?;
    }
    world.step("five lines of logs").await?;
    for id in &ids {
        world.set_state(*id, StateType::Completed).await?;
    }
    world.step("set COMPLETED").await?;
    for (number, id) in ids.iter().enumerate() {
        world.ask("POST", "/events", &json!([submission(number % WORKERS, *id, &deployment, "executed")])).await?;
    }
    world.step("the worker's event that the process has ended").await?;
    world.fire_timers().await?;
    world.step("the timer that looks whether it is late").await?;
    Ok(world.recorded(count))
}

/// Records `count` task runs of one flow run, told by the events of their client.
pub(crate) async fn of_task_runs(count: usize, shards: Shards) -> Outcome<Lifetimes> {
    let mut world = World::new(shards).await?;
    let deployment = world.deployment(None).await?;
    let flow_run = world.create(&deployment, 0).await?;
    world.settle().await?;
    world.recorder.take();
    let mut tasks: Vec<Task> =
        (0..count).map(|_| Task { id: Uuid::now_v7(), expected: Timestamp::now(), last: None }).collect();
    for state in TASK_STATES {
        for some in tasks.chunks_mut(SENT_AT_ONCE) {
            let events: Vec<Value> = some.iter_mut().map(|task| task.enters(state, flow_run, &deployment)).collect();
            world.ask("POST", "/events", &json!(events)).await?;
        }
        world.step(state.1).await?;
    }
    Ok(world.recorded(count))
}

impl World {
    async fn new(shards: Shards) -> Outcome<Self> {
        let (database, recorder) = (EmbeddedDatabase::in_memory()?, Recorder::default());
        let config = database.sdk_config().to_builder().interceptor(recorder.clone()).build();
        let settings = Settings { shards: shards.0, ..Settings::default() };
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), &settings.table, shards);
        store.create_table().await?;
        let (inbox, changes) = (database.queue()?, database.change_stream(&settings.table));
        let queue = Queue::new(aws_sdk_sqs::Client::from_conf(inbox.sdk_config()), "any");
        let app = App::new(store, settings);
        Ok(Self { service: proctor::app(app.clone()), app, queue, inbox, changes, recorder, steps: Vec::new() })
    }

    /// Sends a request to the product, and returns its answer.
    async fn ask(&self, method: &str, path: &str, body: &Value) -> Outcome<Value> {
        let request = Request::builder().method(method).uri(format!("/api{path}"));
        let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))?;
        let answer = self.service.clone().oneshot(request).await?;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await?;
        if !status.is_success() {
            return Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? })
    }

    /// Makes the flow, the work pool with its queue, and the deployment that all runs are of.
    async fn deployment(&self, limit: Option<i64>) -> Outcome<Deployment> {
        let now = self.app.now();
        let flow = self.ask("POST", "/flows/", &json!({"name": "ingest-orders", "tags": ["orders"]})).await?;
        let flow: Flow = serde_json::from_value(flow)?;
        self.ask("POST", "/work_pools/", &json!({"name": "pool", "type": "process"})).await?;
        let pool: StoredWorkPool = self.app.store.work_pool("pool").await?.ok_or("the pool is there")?.record;
        let mut deployment = Deployment::new(DeploymentId::new(), &flow, "production", now);
        deployment.work_queue_id = pool.pool.default_queue_id;
        deployment.work_queue_name = Some("default".into());
        deployment.entrypoint = Some("flows/ingest.py:ingest_orders".into());
        deployment.tags = vec!["orders".into(), "nightly".into()];
        deployment.parameter_openapi_schema = serde_json::from_value(schema())?;
        let beside = self.app.store.limit_deployment(&mut deployment, limit, now).await?;
        self.app.store.add_deployment(&deployment, beside).await.map_err(common::Error::from)?;
        Ok(deployment)
    }

    /// Makes a run of the deployment that waits in its queue and is due, with the reads and the transaction of any that is made.
    async fn create(&self, deployment: &Deployment, number: usize) -> Outcome<FlowRunId> {
        let store = &self.app.store;
        let flow = store.flow(deployment.flow_id).await?.ok_or("the flow is there")?.record;
        let deployment = store.deployment(deployment.id).await?.ok_or("the deployment is there")?.record;
        let pool = store.work_pool("pool").await?.ok_or("the pool is there")?.record.pool;
        let key = format!("scheduled {} {number}", deployment.id);
        let id = FlowRunId::new();
        let now = self.app.now();
        let mut run = FlowRun::new(id, flow.id, format!("brave-otter-{number}"), now);
        run.deployment_id = Some(deployment.id);
        run.work_queue_id = deployment.work_queue_id;
        run.work_queue_name.clone_from(&deployment.work_queue_name);
        run.work_pool_id = Some(pool.id);
        run.tags.clone_from(&deployment.tags);
        run.idempotency_key = Some(key);
        run.parameters.insert("source".into(), format!("s3://bucket/orders/part-{number:07}.parquet").into());
        run.parameters.insert("batch".into(), number.into());
        // Due at once; what starts more than a minute after that takes another place among the runs of its flow.
        let state = State::new(id.state_id(1), StateType::Scheduled, now);
        let run = flow_run_creation::create(&self.app, &NewFlowRun { run, state }, &Client::default()).await?.run;
        Ok(run.id)
    }

    async fn set_state(&self, id: FlowRunId, r#type: StateType) -> Outcome<()> {
        let path = format!("/flow_runs/{id}/set_state");
        let answer = self.ask("POST", &path, &json!({"state": {"type": r#type}, "force": false})).await?;
        if answer["status"] == "ACCEPT" { Ok(()) } else { Err(format!("{path} answered {answer}").into()) }
    }

    /// Lets the stream's consumer do what follows from the writes, and from its own, until nothing does.
    async fn settle(&mut self) -> Outcome<()> {
        while let Ok(records) = tokio::time::timeout(Duration::from_millis(20), self.changes.next(1_000)).await {
            let records = records?;
            let changes = records.iter().map(|record| {
                Change::from_json(record.keys.clone(), record.old_image.clone(), record.new_image.clone())
            });
            let mut changes: Vec<Change> = changes.collect::<common::Result<_>>()?;
            // The event source hands no others out.
            changes.retain(|change| Subject::of(&change.key).is_some());
            for batch in changes.chunks(CHANGES_AT_ONCE) {
                if let Some(failure) = stream::consume(&self.app, &self.queue, batch).await.into_iter().next() {
                    return Err(failure.error.into());
                }
            }
            self.changes.acknowledge(&records)?;
        }
        Ok(())
    }

    /// Looks for what is due, as the schedule does, and works off the queue.
    async fn fire_timers(&mut self) -> Outcome<()> {
        jobs::timers::tick(&self.app, &self.queue).await?;
        loop {
            let received = self.inbox.hand_out(10, Duration::from_mins(1)).await?;
            if received.is_empty() {
                return self.settle().await;
            }
            let messages = received.iter().map(|received| serde_json::from_str(&received.body));
            let messages: Vec<Message> = messages.collect::<serde_json::Result<_>>()?;
            let messages: Vec<Delivery> = messages.into_iter().map(Delivery::from).collect();
            if let Some(failure) = jobs::consume(&self.app, &self.queue, &messages).await.into_iter().next() {
                return Err(failure.error.into());
            }
            for received in &received {
                self.inbox.acknowledge(received).await?;
            }
        }
    }

    /// Notes what the step `name` took of all runs, and then what followed from it.
    async fn step(&mut self, name: &'static str) -> Outcome<()> {
        let (asked, calls_asked) = self.taken()?;
        self.settle().await?;
        let (followed, calls_followed) = self.taken()?;
        self.steps.push(Step { name, asked, followed, calls: calls_asked + calls_followed });
        Ok(())
    }

    fn taken(&self) -> Outcome<(BTreeMap<PartitionKey, Units>, f64)> {
        match self.recorder.take() {
            (units, calls, 0) => Ok((units, f64::from(u32::try_from(calls)?))),
            (.., failures) => Err(format!("{failures} calls failed, whose units are not known").into()),
        }
    }

    fn recorded(self, count: usize) -> Lifetimes {
        let mut units: BTreeMap<PartitionKey, Units> = BTreeMap::new();
        for (key, taken) in self.steps.iter().flat_map(|step| step.asked.iter().chain(&step.followed)) {
            units.entry(key.clone()).or_default().add(*taken, 1.0);
        }
        Lifetimes { count, units, steps: self.steps }
    }
}

/// The parameters of a flow as a client describes them, of middling length.
fn schema() -> Value {
    let parameter = |title: &str, position: u8| json!({"title": title, "position": position, "type": "string"});
    json!({
        "title": "Parameters", "type": "object", "required": ["source"],
        "properties": {"source": parameter("source", 0), "batch": parameter("batch", 1), "region": parameter("region", 2)},
        "definitions": {},
    })
}

fn name_of(worker: usize) -> String {
    format!("ProcessWorker {worker}")
}

/// The records around a run as clients name them in events.
fn around(id: FlowRunId, deployment: &Deployment) -> Vec<Value> {
    let related = |kind: &str, id: &str, name: &str| {
        json!({
            "prefect.resource.id": format!("prefect.{kind}.{id}"), "prefect.resource.role": kind,
            "prefect.resource.name": name,
        })
    };
    let queue = deployment.work_queue_id.map(|id| id.to_string()).unwrap_or_default();
    vec![
        related("flow-run", &id.to_string(), "brave-otter"),
        related("flow", &deployment.flow_id.to_string(), &deployment.flow_name),
        related("deployment", &deployment.id.to_string(), &deployment.name),
        related("work-queue", &queue, "default"),
        related("work-pool", &deployment.id.to_string(), "pool"),
    ]
}

/// The event with which a worker tells that it submitted a run, or that the run's process has ended.
fn submission(worker: usize, id: FlowRunId, deployment: &Deployment, what: &str) -> Value {
    json!({
        "occurred": Timestamp::now(),
        "event": format!("prefect.worker.{what}-flow-run"),
        "resource": {
            "prefect.resource.id": format!("prefect.worker.process.processworker-{worker}"),
            "prefect.resource.name": name_of(worker),
            "prefect.version": "3.9.1", "prefect.worker-type": "process",
        },
        "related": around(id, deployment),
        "id": Uuid::now_v7(),
    })
}

fn log(id: FlowRunId) -> Value {
    json!({
        "name": "prefect.flow_runs", "level": 20, "timestamp": Timestamp::now(), "flow_run_id": id,
        "message": "Read 12,345 orders from s3://bucket/orders/part-0000001.parquet in 0.42 seconds",
    })
}

/// A task run of a client.
struct Task {
    id: Uuid,
    /// When it was to start.
    expected: Timestamp,
    /// The event of the state that it is in.
    last: Option<(Uuid, StateType)>,
}

impl Task {
    /// Returns the event with which the client tells of the next state.
    fn enters(&mut self, (r#type, name): (StateType, &str), flow_run: FlowRunId, deployment: &Deployment) -> Value {
        let (now, id) = (Timestamp::now(), Uuid::now_v7());
        let run_count = u8::from(r#type != StateType::Pending);
        let before = self.last.replace((id, r#type));
        let mut run = json!({
            "name": "load_part-0a3", "task_key": "load_part-ae021fd1", "dynamic_key": self.id,
            "empirical_policy": {"max_retries": 0, "retry_delay_seconds": 0.0, "retries": 0, "retry_delay": 0},
            "tags": ["orders"], "labels": {"prefect.flow-run.id": flow_run}, "task_inputs": {"part": []},
            "run_count": run_count, "flow_run_run_count": 1, "expected_start_time": self.expected, "total_run_time": 0.0,
        });
        if r#type != StateType::Pending {
            run["start_time"] = json!(now);
        }
        if r#type == StateType::Completed {
            run["end_time"] = json!(now);
        }
        let state = |r#type: StateType, name: &str| json!({"type": r#type, "name": name, "message": "", "state_details": {}, "data": null});
        let mut related = around(flow_run, deployment);
        related.push(json!({"prefect.resource.id": "prefect.tag.orders", "prefect.resource.role": "tag"}));
        json!({
            "occurred": now,
            "event": format!("prefect.task-run.{name}"),
            "resource": {
                "prefect.resource.id": format!("prefect.task-run.{}", self.id),
                "prefect.resource.name": "load_part-0a3", "prefect.run-count": run_count.to_string(),
                "prefect.state-message": "", "prefect.state-name": name, "prefect.state-timestamp": now,
                "prefect.state-type": r#type, "prefect.orchestration": "client",
            },
            "related": related,
            "payload": {
                "intended": {"from": before.map(|(_, r#type)| r#type), "to": r#type},
                "initial_state": before.map(|(_, r#type)| state(r#type, r#type.default_name())),
                "validated_state": state(r#type, name),
                "task_run": run,
            },
            "id": id,
            "follows": before.map(|(id, _)| id),
        })
    }
}
