//! Random transitions of many clients at once, on a store that fails now and then, held against a model of the rules.
//!
//! An episode is a world of its own: flow runs of limited deployments and of none, and task runs with a limited tag. Clients
//! propose random states over HTTP, repeat a request that failed as the Prefect client does, and at times one that did not.
//! Meanwhile no limit may be exceeded; afterwards everything is read back. `PROCTOR_EPISODES` makes the test longer, and
//! `PROCTOR_SEED` begins with the episode that failed: it makes the same proposals and faults, though not in the same order.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use common::{
    Api, Error, Settings, Store,
    model::{
        ConcurrencyLimit, ConcurrencyLimitId, Deployment, DeploymentId, Flow, FlowId, FlowRun, FlowRunId, Lease, State,
        StateId, StateType, TaskRun, TaskRunId, Timestamp,
    },
    orchestration::{
        Client,
        policy::{flow_policy, task_policy},
    },
    store::{
        Shards,
        query::Range,
        table::{Collection, Index, Subject},
    },
    transitions,
};
use embedded::{
    EmbeddedDatabase,
    faults::{Fault, Faults},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt;
use uuid::Uuid;

use StateType::{Cancelled, Cancelling, Completed, Crashed, Failed, Paused, Pending, Running, Scheduled};

const CLIENTS: usize = 8;
const PROPOSALS: usize = 14;
/// How many episodes there are where nobody asks for more.
const SHORT: u64 = 4;
const TAG: &str = "limited";
/// How many calls of the store an episode's faults are spread over, and of how many calls one fails.
const SCRIPTED_CALLS: usize = 2_000;
const CALLS_PER_FAULT: u64 = 12;
/// How often a client repeats a request that was answered 503.
const REPEATS: usize = 30;

/// Random numbers that a seed reproduces (`SplitMix64`, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.next().is_multiple_of(count)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let length = u64::try_from(list.len()).unwrap();
        &list[usize::try_from(self.next() % length).unwrap()]
    }
}

/// A run that clients propose states for.
#[derive(Clone)]
struct Subjected {
    path: String,
    kind: Kind,
    /// Whether the run has ever been submitted, before which nobody starts it where its deployment has a limit.
    submitted: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
enum Kind {
    Flow(FlowRunId, bool),
    Task(TaskRunId),
}

struct World {
    api: Api,
    app: Router,
    runs: Vec<Subjected>,
    limits: Vec<ConcurrencyLimitId>,
}

impl World {
    async fn new(random: &mut Random) -> Self {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let (faults, conflicts) = (Faults::default(), Faults::on("TransactWriteItems"));
        let api = |client| {
            let client = aws_sdk_dynamodb::Client::from_conf(EmbeddedDatabase::config_with(client));
            Api::new(Store::new(client, "proctor-records", Shards(2)), Settings::default())
        };
        let app = local::app(api(conflicts.before(faults.before(database.http_client()))));
        let api = api(database.http_client());
        api.store.create_table().await.unwrap();
        let mut world = Self { api, app, runs: Vec::new(), limits: Vec::new() };
        world.add_flow_runs().await;
        world.add_task_runs().await;
        script(random, &faults, &[Fault::Throttled, Fault::InternalError, Fault::AnswerLost]);
        script(random, &conflicts, &[Fault::TransactionConflict]);
        world
    }

    async fn flow(&self) -> Flow {
        let flow = Flow::new(FlowId::new(), "flow", self.api.now());
        self.api.store.add_flow(flow).await.unwrap().0
    }

    async fn deployment(&mut self, flow: &Flow, name: &str, slots: i64, strategy: &str) -> DeploymentId {
        let now = self.api.now();
        let mut deployment = Deployment::new(DeploymentId::new(), flow, name, now);
        deployment.concurrency_options = serde_json::from_value(json!({ "collision_strategy": strategy })).unwrap();
        let limit = self.api.store.limit_deployment(&mut deployment, Some(slots), now).await.unwrap();
        self.api.store.add_deployment(&deployment, limit).await.map_err(Error::from).unwrap();
        self.limits.extend(deployment.concurrency_limit_id);
        deployment.id
    }

    async fn add_flow_runs(&mut self) {
        let flow = self.flow().await;
        let patient = self.deployment(&flow, "patient", 2, "ENQUEUE").await;
        let strict = self.deployment(&flow, "strict", 1, "CANCEL_NEW").await;
        for deployment in [Some(patient), Some(patient), Some(patient), Some(strict), Some(strict), None, None] {
            let id = self.add_flow_run(&flow, deployment, Scheduled).await;
            let submitted = Arc::new(AtomicBool::new(deployment.is_none()));
            let kind = Kind::Flow(id, deployment.is_some());
            self.runs.push(Subjected { path: format!("/api/flow_runs/{id}/set_state"), kind, submitted });
        }
    }

    async fn add_flow_run(&self, flow: &Flow, deployment: Option<DeploymentId>, initial: StateType) -> FlowRunId {
        let now = self.api.now();
        let mut run = FlowRun::new(FlowRunId::new(), flow.id, "run", now);
        run.deployment_id = deployment;
        let state = Some(State::new(StateId::new(), initial, now));
        let made = transitions::create(&self.api, run, state, flow_policy(true), Client::default()).await;
        let (run, writes) = made.unwrap();
        self.api.store.commit(writes).await.map_err(Error::from).unwrap();
        run.id
    }

    async fn add_task_runs(&mut self) {
        let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), format!("tag:{TAG}"), 2, self.api.now());
        self.api.store.add_concurrency_limit(&limit).await.unwrap();
        self.limits.push(limit.id);
        let around = self.add_flow_run(&self.flow().await, None, Running).await;
        for place in 0..5 {
            let now = self.api.now();
            let mut run = TaskRun::new(TaskRunId::new(), "task", place.to_string(), "task", now);
            run.flow_run_id = Some(around);
            run.tags = if place < 4 { vec![TAG.to_owned()] } else { Vec::new() };
            let state = State::new(StateId::new(), Pending, now);
            let policy = task_policy(&state, true);
            let made = transitions::create(&self.api, run, Some(state), policy, Client::default()).await;
            let (run, writes) = made.unwrap();
            self.api.store.commit(writes).await.map_err(Error::from).unwrap();
            let submitted = Arc::new(AtomicBool::new(true));
            let path = format!("/api/task_runs/{}/set_state", run.id);
            self.runs.push(Subjected { path, kind: Kind::Task(run.id), submitted });
        }
    }

    async fn limit(&self, id: ConcurrencyLimitId) -> ConcurrencyLimit {
        self.api.store.concurrency_limit(id).await.unwrap().unwrap().record
    }

    /// Reads all leases that are there.
    async fn leases(&self) -> Vec<Lease> {
        let store = &self.api.store;
        let items = store.read_all(Range::all(store, Index::Related, Collection::Timers)).await.unwrap();
        let keys: Vec<_> = items
            .into_iter()
            .filter(|item| matches!(Subject::of(&item.key), Some(Subject::Lease(_))))
            .map(|item| item.key)
            .collect();
        store.get_many(&keys).await.unwrap().into_iter().map(|found| found.record).collect()
    }
}

/// Spreads `kinds` of faults over an episode's calls of the store.
fn script(random: &mut Random, faults: &Faults, kinds: &[Fault]) {
    for _ in 0..SCRIPTED_CALLS {
        if random.one_in(CALLS_PER_FAULT) {
            faults.then(*random.of(kinds));
        } else {
            faults.then_pass();
        }
    }
}

/// Sends a request as the Prefect client does: again, with the same body, as long as it is answered 503.
async fn send(app: &Router, path: &str, body: &Value) -> Value {
    for _ in 0..REPEATS {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("user-agent", "prefect/3.8.8 (API 0.8.4)")
            .header("x-prefect-api-version", "0.8.4");
        let answer = app.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let status = answer.status();
        let text = to_bytes(answer.into_body(), 1_000_000).await.unwrap();
        if status != StatusCode::SERVICE_UNAVAILABLE {
            assert!(status.is_success(), "{path} {body}: {status} {}", String::from_utf8_lossy(&text));
            return serde_json::from_slice(&text).unwrap();
        }
    }
    panic!("{path} was answered 503 to the end");
}

/// Proposes random states until the client has had enough.
async fn client(app: Router, runs: Vec<Subjected>, seed: u64) {
    let mut random = Random(seed);
    for _ in 0..PROPOSALS {
        let run = random.of(&runs);
        let likely = [Pending, Pending, Pending, Running, Running, Running, Completed, Failed];
        let all = [&likely[..], &StateType::ALL].concat();
        let mut proposed = *random.of(&all);
        if proposed == Running && !run.submitted.load(Ordering::SeqCst) {
            proposed = Pending;
        }
        let body = json!({
            "state": { "type": proposed, "state_details": { "transition_id": Uuid::from_u64_pair(random.next(), seed) } }
        });
        let answer = send(&app, &run.path, &body).await;
        if answer["state"]["type"] == json!(Pending) {
            run.submitted.store(true, Ordering::SeqCst);
        }
        if random.one_in(5) {
            send(&app, &run.path, &body).await;
        }
    }
}

/// Says whether a flow run may go from one state to the next; told from upstream's rules, not from ours.
fn flow_run_may_go(from: StateType, to: StateType, is_deployed: bool) -> bool {
    match (from, to) {
        (Pending | Running | Cancelling | Cancelled | Paused, Pending) => false,
        (Cancelling, to) => to == Cancelled,
        (from, Cancelling | Paused | Crashed) if from.is_terminal() => false,
        (from, Scheduled) if from.is_terminal() => is_deployed,
        (from, Paused) => from == Running,
        (Scheduled, Cancelling) => false,
        _ => true,
    }
}

/// Says whether a task run may go from one state to the next.
fn task_run_may_go(from: StateType, to: StateType) -> bool {
    !(from.is_terminal() && matches!(to, Cancelling | Paused | Crashed))
}

/// What a history says of its run.
#[derive(Debug, Default)]
struct Told {
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    total_run_time: f64,
    fewest_runs: i64,
    most_runs: i64,
}

impl Told {
    fn of(kind: Kind, history: &[State]) -> Self {
        let (mut told, mut before): (Self, Option<&State>) = (Self::default(), None);
        // Whether the run is being resumed, as far as the history tells: a refused proposal may set it in a pause.
        let (mut may_resume, mut must_resume) = (false, false);
        for state in history {
            if let Some(before) = before.filter(|before| before.r#type == Running) {
                told.total_run_time += state.timestamp.seconds_since(before.timestamp);
            }
            let returns = before.is_some_and(|before| before.r#type.is_terminal()) && !state.r#type.is_terminal();
            if returns {
                told.end_time = None;
                (may_resume, must_resume) = (false, false);
                if matches!(kind, Kind::Task(_)) {
                    (told.fewest_runs, told.most_runs) = (0, 0);
                }
            }
            let was_paused = matches!(kind, Kind::Flow(..)) && before.is_some_and(|before| before.r#type == Paused);
            may_resume |= was_paused;
            if state.r#type == Running {
                told.start_time.get_or_insert(state.timestamp);
                told.fewest_runs += i64::from(!may_resume);
                told.most_runs += i64::from(!must_resume);
            }
            if state.r#type == Running || state.r#type.is_terminal() {
                (may_resume, must_resume) = (false, false);
            }
            if was_paused {
                (may_resume, must_resume) = (true, true);
            }
            if state.r#type.is_terminal() {
                told.start_time.get_or_insert(state.timestamp);
                told.end_time.get_or_insert(state.timestamp);
            }
            before = Some(state);
        }
        told
    }
}

/// What is compared of a run of either kind.
struct Seen {
    state: State,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    total_run_time: f64,
    run_count: i64,
}

macro_rules! seen {
    ($run:expr) => {{
        let run = $run.unwrap().unwrap().record;
        Seen {
            state: run.state.unwrap(),
            start_time: run.start_time,
            end_time: run.end_time,
            total_run_time: run.total_run_time.as_f64(),
            run_count: run.run_count,
        }
    }};
}

async fn check_run(world: &World, kind: Kind) {
    let store = &world.api.store;
    let (seen, history) = match kind {
        Kind::Flow(id, _) => (seen!(store.flow_run(id).await), store.flow_run_states(id).await.unwrap()),
        Kind::Task(id) => (seen!(store.task_run(id).await), store.task_run_states(id).await.unwrap()),
    };
    let told = Told::of(kind, &history);
    let path: Vec<_> = history.iter().map(|state| state.r#type.as_str()).collect();
    assert_eq!(history.last().unwrap().id, seen.state.id, "the last state of {path:?} is the run's");
    for pair in history.windows(2) {
        let (from, to) = (&pair[0], &pair[1]);
        assert!(from.timestamp < to.timestamp, "the times of {path:?} are in order");
        let may_go = match kind {
            Kind::Flow(_, is_deployed) => flow_run_may_go(from.r#type, to.r#type, is_deployed),
            Kind::Task(_) => task_run_may_go(from.r#type, to.r#type),
        };
        assert!(may_go, "from {} to {} in {path:?}", from.r#type, to.r#type);
        if matches!(kind, Kind::Flow(..)) {
            let ids = (from.state_details.transition_id, to.state_details.transition_id);
            assert!(ids.0.is_none() || ids.0 != ids.1, "a transition was made twice in {path:?}");
        }
    }
    assert_eq!(seen.start_time, told.start_time, "start time after {path:?}");
    assert_eq!(seen.end_time, told.end_time, "end time after {path:?}");
    assert_eq!(seen.end_time.is_some(), seen.state.r#type.is_terminal(), "ended after {path:?}");
    assert!((seen.total_run_time - told.total_run_time).abs() < 1e-3, "{} after {history:?}", seen.total_run_time);
    let runs = told.fewest_runs..=told.most_runs;
    assert!(runs.contains(&seen.run_count), "{} runs, not {runs:?}, after {path:?}", seen.run_count);
}

/// Compares the counters of the limits with the leases, and the leases with the runs that hold them.
async fn check_slots(world: &World) {
    let leases = world.leases().await;
    for id in &world.limits {
        let limit = world.limit(*id).await;
        let held = leases.iter().filter(|lease| lease.limits.contains(id)).map(|lease| lease.slots).sum::<i64>();
        assert_eq!(limit.active_slots, held, "{}: {leases:?}", limit.name);
        assert!(held <= limit.limit, "{}: {leases:?}", limit.name);
    }
    let mut holding = HashSet::new();
    for run in &world.runs {
        match run.kind {
            Kind::Flow(id, _) => {
                let state = world.api.store.flow_run(id).await.unwrap().unwrap().record.state.unwrap();
                if matches!(state.r#type, Pending | Running | Cancelling) {
                    holding.extend(state.state_details.deployment_concurrency_lease_id);
                }
            }
            Kind::Task(id) => {
                let state = world.api.store.task_run(id).await.unwrap().unwrap().record.state.unwrap();
                let held = world.api.store.leases_held_by(id).await.unwrap();
                assert!(held.is_empty() || matches!(state.r#type, Running | Cancelling), "{state:?} holds {held:?}");
                holding.extend(held);
            }
        }
    }
    for lease in leases {
        assert!(holding.contains(&lease.id), "nobody holds {lease:?}");
    }
}

async fn episode(seed: u64) {
    let mut random = Random(seed);
    let world = Arc::new(World::new(&mut random).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn({
        let (world, is_over) = (world.clone(), is_over.clone());
        async move {
            while !is_over.load(Ordering::SeqCst) {
                for id in &world.limits {
                    let limit = world.limit(*id).await;
                    assert!(limit.active_slots <= limit.limit, "{} holds {}", limit.name, limit.active_slots);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    });
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(world.app.clone(), world.runs.clone(), random.next()));
    }
    clients.join_all().await;
    is_over.store(true, Ordering::SeqCst);
    watch.await.unwrap();
    for run in &world.runs {
        check_run(&world, run.kind).await;
    }
    check_slots(&world).await;
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_clients_propose_slots_are_leases_and_histories_are_legal() {
    let first = setting("PROCTOR_SEED").unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0 >> 16);
    let started = Instant::now();
    for seed in (first..).take(usize::try_from(setting("PROCTOR_EPISODES").unwrap_or(SHORT)).unwrap()) {
        println!("PROCTOR_SEED={seed}, after {:.1?}", started.elapsed());
        episode(seed).await;
    }
}
