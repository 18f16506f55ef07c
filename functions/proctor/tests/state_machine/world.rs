//! The world of an episode: the records, the servers that clients and services see, and what clients were answered.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::Router;
use common::{
    App, Error, Settings, Store,
    jobs::queue::Queue,
    model::{
        ConcurrencyLimit, ConcurrencyLimitId, Deployment, DeploymentId, Flow, FlowId, FlowRun, FlowRunId,
        FlowRunPolicy, Lease, State, StateId, StateType, TaskRun, TaskRunId,
    },
    orchestration::{
        Client,
        policy::{flow_policy, task_policy},
    },
    store::{
        Key,
        query::Range,
        table::{self, Collection, Index, Subject},
    },
    transitions,
};
use embedded::{
    EmbeddedDatabase, EmbeddedQueue, LaggingIndexes,
    decorators::{Failing, Lagging},
    faults::{Fault, Faults},
};
use proctor::database::Database;
use serde_json::json;
use uuid::Uuid;

use crate::random::Random;

use StateType::{Pending, Running, Scheduled};

pub(crate) const TAG: &str = "limited";
/// The tag of runs that are deleted or cancelled many at once.
pub(crate) const DOOMED: &str = "doomed";
/// How many calls of the store an episode's faults are spread over, and of how many calls one fails.
const SCRIPTED_CALLS: usize = 3_000;
const CALLS_PER_FAULT: u64 = 12;
/// By how many writes an index lags at most.
const LONGEST_LAG: u64 = 12;
/// How long a cancellation may take and a run may be late, in seconds.
pub(crate) const SHORT_WHILE: f64 = 0.2;

/// A run that clients propose states for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Flow { id: FlowRunId, is_deployed: bool, is_doomed: bool },
    Task { id: TaskRunId, around: FlowRunId },
}

impl Kind {
    pub(crate) fn path(self) -> String {
        match self {
            Self::Flow { id, .. } => format!("/api/flow_runs/{id}"),
            Self::Task { id, .. } => format!("/api/task_runs/{id}"),
        }
    }

    pub(crate) fn uuid(self) -> Uuid {
        match self {
            Self::Flow { id, .. } => id.0,
            Self::Task { id, .. } => id.0,
        }
    }

    pub(crate) fn key(self) -> Key {
        match self {
            Self::Flow { id, .. } => table::flow_run(id),
            Self::Task { id, .. } => table::task_run(id),
        }
    }
}

/// What clients asked for and were answered.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) runs: Vec<Kind>,
    /// The states that a client was told to have entered, and of which run.
    pub(crate) entered: Vec<(Uuid, StateId)>,
    /// The transitions that were forced.
    pub(crate) forced: HashSet<Uuid>,
    /// The runs whose deletion was asked for, and perhaps not yet or not at all carried out.
    pub(crate) doomed: HashSet<Uuid>,
    /// The runs that are said to be deleted.
    pub(crate) deleted: HashSet<Uuid>,
}

impl Ledger {
    /// Says whether the run may be gone.
    pub(crate) fn may_be_gone(&self, run: Kind) -> bool {
        let of_around = match run {
            Kind::Flow { .. } => None,
            Kind::Task { around, .. } => Some(around.0),
        };
        [Some(run.uuid()), of_around].into_iter().flatten().any(|id| self.doomed.contains(&id))
    }
}

pub(crate) struct World {
    /// Reads what there is.
    pub(crate) app: App,
    /// What the services see: a store that fails, with indexes that lag.
    pub(crate) services: App,
    /// What clients see: the same, with faults of its own.
    pub(crate) service: Router,
    pub(crate) database: Database,
    pub(crate) lagging: Lag,
    pub(crate) faults: Vec<Faults>,
    pub(crate) inbox: EmbeddedQueue,
    pub(crate) queue: Queue,
    pub(crate) limits: Vec<ConcurrencyLimitId>,
    pub(crate) deployments: Vec<DeploymentId>,
    ledger: Mutex<Ledger>,
}

/// The database behind whose writes the indexes lag.
#[derive(Clone)]
pub(crate) enum Lag {
    Emulator(LaggingIndexes),
    Sqlite(Lagging),
}

impl Lag {
    /// Makes an empty database.
    fn of(database: &Database) -> Self {
        match database {
            Database::Emulator(database) => Self::Emulator(LaggingIndexes::of(database, LONGEST_LAG).unwrap()),
            Database::Sqlite(database) => {
                let stale = sqlite::Database::in_memory().unwrap();
                Self::Sqlite(Lagging::new(Arc::new(database.clone()), Arc::new(stale), LONGEST_LAG))
            }
        }
    }

    /// Connects to it, with faults that are met by any call, and by transactions alone.
    fn store(&self, settings: &Settings, passing: &Faults, conflicts: &Faults) -> Store {
        match self {
            Self::Emulator(lagging) => {
                let client = conflicts.before(passing.before(lagging.http_client()));
                let client = aws_sdk_dynamodb::Client::from_conf(EmbeddedDatabase::config_with(client));
                Store::new(client, &settings.table, settings.shards)
            }
            Self::Sqlite(lagging) => {
                let faults = vec![passing.clone(), conflicts.clone()];
                Store::on(Failing::new(Arc::new(lagging.clone()), faults), settings.shards)
            }
        }
    }

    /// Brings the indexes up to date.
    pub(crate) async fn catch_up(&self) {
        match self {
            Self::Emulator(lagging) => lagging.catch_up().await,
            Self::Sqlite(lagging) => lagging.catch_up().await.unwrap(),
        }
    }
}

impl World {
    /// Makes one on DynamoDB's emulator or on SQLite.
    pub(crate) async fn new(random: &mut Random) -> Self {
        let database = if random.one_in(2) {
            Database::Emulator(EmbeddedDatabase::in_memory().unwrap())
        } else {
            Database::Sqlite(sqlite::Database::in_memory().unwrap())
        };
        let lagging = Lag::of(&database);
        let settings = Settings {
            shards: 2,
            // What is due is found by the ticks alone: a delayed message is late by up to a second.
            timers_ahead: 0.0,
            late_runs_after: SHORT_WHILE,
            cancelling_timeout: SHORT_WHILE,
            deployment_slot_wait: 0.05,
            initial_deployment_lease: if random.one_in(2) { SHORT_WHILE } else { 300.0 },
            ..Settings::default()
        };
        let none = Faults::default();
        let connected = |store| App::new(store, settings.clone());
        let setting_up = connected(lagging.store(&settings, &none, &none));
        setting_up.store.create_table().await.unwrap();
        let inbox = database.queue().unwrap();
        let mut faults = Vec::new();
        let mut failing = || {
            let (passing, conflicts) = (Faults::default(), Faults::on("TransactWriteItems"));
            let store = lagging.store(&settings, &passing, &conflicts);
            faults.push((passing, conflicts));
            connected(store)
        };
        let (services, service) = (failing(), proctor::app(failing()));
        let mut world = Self {
            app: setting_up,
            services,
            service,
            queue: Queue::new(aws_sdk_sqs::Client::from_conf(inbox.sdk_config()), "any"),
            inbox,
            lagging: lagging.clone(),
            faults: Vec::new(),
            limits: Vec::new(),
            deployments: Vec::new(),
            ledger: Mutex::default(),
            database: database.clone(),
        };
        world.add_flow_runs().await;
        Box::pin(world.add_task_runs()).await;
        lagging.catch_up().await;
        world.app = connected(database.store(&settings.table, settings.shards));
        for (passing, conflicts) in faults {
            script(random, &passing, &[Fault::Throttled, Fault::InternalError, Fault::AnswerLost]);
            script(random, &conflicts, &[Fault::TransactionConflict]);
            world.faults.extend([passing, conflicts]);
        }
        world
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn flow(&self) -> Flow {
        let flow = Flow::new(FlowId::new(), "flow", self.app.now());
        self.app.store.add_flow(flow).await.unwrap().0
    }

    async fn deployment(&mut self, flow: &Flow, name: &str, slots: i64, strategy: &str) -> DeploymentId {
        let now = self.app.now();
        let mut deployment = Deployment::new(DeploymentId::new(), flow, name, now);
        deployment.concurrency_options = serde_json::from_value(json!({ "collision_strategy": strategy })).unwrap();
        let limit = self.app.store.limit_deployment(&mut deployment, Some(slots), now).await.unwrap();
        self.app.store.add_deployment(&deployment, limit).await.map_err(Error::from).unwrap();
        self.limits.extend(deployment.concurrency_limit_id);
        self.deployments.push(deployment.id);
        deployment.id
    }

    async fn add_flow_runs(&mut self) {
        let flow = self.flow().await;
        let patient = self.deployment(&flow, "patient", 2, "ENQUEUE").await;
        let strict = self.deployment(&flow, "strict", 1, "CANCEL_NEW").await;
        let deployments = [Some(patient), Some(patient), Some(patient), Some(strict), Some(strict), None, None];
        for (place, deployment) in deployments.into_iter().enumerate() {
            let is_doomed = place == 0;
            let id = self.add_flow_run(&flow, deployment, Scheduled, is_doomed).await;
            self.ledger().runs.push(Kind::Flow { id, is_deployed: deployment.is_some(), is_doomed });
        }
    }

    async fn add_flow_run(
        &self,
        flow: &Flow,
        deployment: Option<DeploymentId>,
        initial: StateType,
        is_doomed: bool,
    ) -> FlowRunId {
        let now = self.app.now();
        let mut run = FlowRun::new(FlowRunId::new(), flow.id, "run", now);
        run.deployment_id = deployment;
        run.tags = if is_doomed { vec![DOOMED.to_owned()] } else { Vec::new() };
        run.empirical_policy = FlowRunPolicy { retries: Some(1), retry_delay: Some(0), ..FlowRunPolicy::default() };
        let mut state = State::new(StateId::new(), initial, now);
        state.state_details.scheduled_time = (initial == Scheduled).then_some(now);
        let made = transitions::create(&self.app, run, Some(state), flow_policy(true), Client::default()).await;
        let (run, writes) = made.unwrap();
        self.app.store.commit(writes).await.map_err(Error::from).unwrap();
        run.id
    }

    async fn add_task_runs(&mut self) {
        let limit = ConcurrencyLimit::new(ConcurrencyLimitId::new(), format!("tag:{TAG}"), 2, self.app.now());
        self.app.store.add(&limit).await.unwrap();
        self.limits.push(limit.id);
        let flow = self.flow().await;
        for _ in 0..2 {
            let around = self.add_flow_run(&flow, None, Running, false).await;
            for place in 0..3 {
                let now = self.app.now();
                let mut run = TaskRun::new(TaskRunId::new(), "task", place.to_string(), "task", now);
                run.flow_run_id = Some(around);
                run.tags = if place < 2 { vec![TAG.to_owned()] } else { Vec::new() };
                let state = State::new(StateId::new(), Pending, now);
                let policy = task_policy(&state, true);
                let made = transitions::create(&self.app, run, Some(state), policy, Client::default()).await;
                let (run, writes) = made.unwrap();
                self.app.store.commit(writes).await.map_err(Error::from).unwrap();
                self.ledger().runs.push(Kind::Task { id: run.id, around });
            }
        }
    }

    pub(crate) async fn limit(&self, id: ConcurrencyLimitId) -> ConcurrencyLimit {
        self.app.store.concurrency_limit(id).await.unwrap().unwrap().record
    }

    /// Reads all leases that are there.
    pub(crate) async fn leases(&self) -> Vec<Lease> {
        let store = &self.app.store;
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
