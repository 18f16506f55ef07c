//! THE table: every entity's keys, every index and every access pattern, in one file.
//!
//! An item carries its record as JSON in two attributes. `head` holds the fields that filters and sorts look at,
//! `tail` the rest. An index that serves filters projects `head`, so a filter over many records reads only what it
//! needs; put together they are the whole record. A run also has a `brief`, what its history is made of, which is sent
//! and parsed in a fraction of the time. No other attribute but the keys below is ever read or conditioned on, which
//! keeps items small and conditions simple.
//!
//! Collections over "all records of a kind" are spread over [`Shards`]: an index keyed by the kind alone would
//! be the textbook hot partition, and a hot index throttles the writes of the table itself. Readers merge the shards.
//!
//! `docs/table.md` lists [`ENTITIES`], [`Index::ALL`] and [`ACCESS_PATTERNS`]: `cargo xtask generate` writes it.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, ProjectionType,
        ScalarAttributeType, StreamSpecification, StreamViewType,
    },
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use domain::model::{
    ApiKeyId, ArtifactId, AutomationId, BulkOperationId, ConcurrencyLimitId, DeploymentId, EventId, FlowId, FlowRunId,
    LeaseId, StateId, StateType, TaskRunId, Timestamp, VariableId, WorkPoolId, WorkQueueId,
};
use error::{Error, Result};

/// The attribute with the partition key.
pub const PARTITION: &str = "pk";
/// The attribute with the sort key.
pub const SORT: &str = "sk";
/// The attribute with the shard of its collection that an item is in.
pub const SHARD: &str = "collection_pk";
/// The attribute with the second, in seconds since the epoch, after which DynamoDB deletes the item.
pub const EXPIRES: &str = "expires";

/// What a missing value sorts as: before every time and name, where SQL puts a null.
const NULL: &str = "!";

/// An item's primary key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// Returns the key of what is left in the place of this item after its deletion.
    #[must_use]
    pub fn tombstone(&self) -> Self {
        Self::new(self.pk.clone(), TOMBSTONE)
    }

    /// Returns a key that no item has, for records that don't keep theirs.
    pub(crate) fn nowhere() -> Self {
        Self::new(String::new(), String::new())
    }
}

/// The sort key of what is left in the place of a deleted item.
const TOMBSTONE: &str = "deleted";

/// The kinds of items, by what their partition key starts with.
pub const ENTITIES: &[(&str, &str, &str)] = &[
    ("flow", "flow#<flow id>", "flow"),
    ("deleted flow, until the stream's consumer has told of it", "flow#<flow id>", "deleted"),
    ("deployment", "deployment#<deployment id>", "deployment"),
    ("deleted deployment, until the stream's consumer has told of it", "deployment#<deployment id>", "deleted"),
    ("polls for a deployment's runs", "deployment#<deployment id>", "readiness"),
    ("watch over a deployment's service levels", "deployment#<deployment id>", "agreements"),
    ("flow run", "flow_run#<flow run id>", "run"),
    ("flow run state", "flow_run#<flow run id>", "state#<time>#<state id>"),
    ("watch over a flow run's service levels", "flow_run#<flow run id>", "agreements"),
    ("flow run input", "flow_run#<flow run id>", "input#<key>"),
    ("task run", "task_run#<task run id>", "run"),
    ("task run state", "task_run#<task run id>", "state#<time>#<state id>"),
    ("lease that a task run holds", "task_run#<task run id>", "lease#<lease id>"),
    ("cached task state", "task_cache#<cache key>", "state#<time>#<state id>"),
    ("log chunk", "logs#<flow run id, or task#<task run id>, or none>", "<window>#<first time>#<chunk id>#<part>"),
    ("event", "event#<event id>", "event"),
    ("artifact", "artifact#<artifact id>", "artifact"),
    ("collection of the artifacts of a key", "artifact_key#<key>", "collection"),
    ("artifact in such a collection", "artifact_key#<key>", "artifact#<creation>#<artifact id>"),
    (
        "collection whose last artifact was deleted, until the stream's consumer has told of it",
        "artifact_key#<key>",
        "deleted",
    ),
    ("CSRF token", "csrf_token#<client>", "token"),
    ("concurrency limit", "concurrency_limit#<limit id>", "limit"),
    (
        "deleted concurrency limit, until the stream's consumer has told of it",
        "concurrency_limit#<limit id>",
        "deleted",
    ),
    ("lease", "lease#<lease id>", "lease"),
    ("work pool, with the ids of its queues", "work_pool#<pool id>", "pool"),
    ("deleted work pool, until the stream's consumer has told of it", "work_pool#<pool id>", "deleted"),
    ("worker", "work_pool#<pool id>", "worker#<name>"),
    ("work queue", "work_queue#<queue id>", "queue"),
    ("deleted work queue, until the stream's consumer has told of it", "work_queue#<queue id>", "deleted"),
    ("variable", "variable#<variable id>", "variable"),
    ("deleted variable, until the stream's consumer has told of it", "variable#<variable id>", "deleted"),
    ("operation on many flow runs", "bulk_operation#<operation id>", "operation"),
    ("part of such an operation", "bulk_operation#<operation id>#<part>", "part"),
    ("flow run that such an operation has treated", "unique#bulk_operation#<operation id>#<flow run id>", "unique"),
    ("automation; nothing writes one yet", "automation#<automation id>", "automation"),
    (
        "automation that has to do with a resource; nothing writes one yet",
        "automations_of#<resource id>",
        "<automation id>",
    ),
    ("websocket connection", "connection#<connection id>", "connection"),
    ("API key", "api_key#<key id>", "key"),
    ("unique name or key", "unique#<kind>#<name or key>", "unique"),
];

/// The attributes that a query reads out, besides the sort key of its index; the others only place the item.
pub const READ_OUT: &str = "pk, sk, version, head, tail";
/// The attribute with the little that queries over very many records look at.
pub const BRIEF: &str = "brief";

/// How requests reach items: what is asked, and through which key or index.
pub const ACCESS_PATTERNS: &[(&str, &str)] = &[
    ("a flow, deployment, flow run, task run, event or lease by its id", "table: get"),
    ("a flow by its name", "table: get `unique#flow#<name>`, then the flow"),
    ("a deployment by its flow and name", "table: get `unique#deployment#<flow id>#<name>`, then the deployment"),
    ("a concurrency limit by its name", "table: get `unique#concurrency_limit#<name>`, then the limit"),
    ("a variable by its id", "table: get"),
    ("variables by their names", "table: get `unique#variable#<name>` of each, then the variables"),
    ("a work pool by its name", "table: get `unique#work_pool#<name>`, then the pool"),
    ("the queues of a work pool, by priority", "table: get the pool, then all of its queues"),
    ("the workers of a work pool", "table: query the pool's partition from `worker#`"),
    ("a flow run by its flow and idempotency key", "table: get `unique#flow_run#<flow id>#<key>`, then the run"),
    ("a task run by its flow run, task key and dynamic key", "table: get `unique#task_run#…`, then the run"),
    ("the states of a run, oldest first", "table: query the run's partition from `state#`"),
    ("the leases that a task run holds", "table: query the run's partition from `lease#`"),
    ("the inputs of a flow run, by key", "table: query the run's partition from `input#`"),
    ("the logs of a flow run, by time", "table: query `logs#<flow run id>`"),
    ("the newest state of a task's cache key", "table: query `task_cache#<cache key>`, then get"),
    ("an artifact by its id", "table: get `artifact#<artifact id>`"),
    ("the latest artifact of a key", "table: get `artifact_key#<key>`, then the artifact"),
    ("the artifacts of a key, by creation", "table: query `artifact_key#<key>` from `artifact#`, then get"),
    ("the CSRF token of a client", "table: get `csrf_token#<client>`"),
    ("an operation on many flow runs by its id", "table: get `bulk_operation#<operation id>`, then all of its parts"),
    ("the automations that have to do with a resource", "table: query `automations_of#<resource id>`, then get"),
    ("a websocket connection by its id", "table: get `connection#<connection id>`"),
    ("an API key by its id", "table: get `api_key#<key id>`"),
    ("a state by its id", "lookup: query `state#<state id>`, then get"),
    ("the logs of a task run, by time", "lookup: query `logs#<task run id>`, then get"),
    ("the artifacts of a task run, by creation", "lookup: query `artifacts#<task run id>`, then get"),
    ("the events of a resource, by time", "lookup: query `resource#<resource id>`, then get"),
    ("the subflow runs of a flow run", "related: query `subflows#<flow run id>`, then get"),
    ("the subflow runs of a task run", "related: query `subflows#<flow run id>` from `<task run id>`, then get"),
    ("the deployments whose schedules are looked at next, by when", "related: query each shard of `scheduling`"),
    ("the artifacts of a flow run, by creation", "related: query `artifacts#<flow run id>`, then get"),
    (
        "the states of flow runs, leases, workers, pools, queues, deployments and watches that the server acts on, by when",
        "related: query each shard of `timers`",
    ),
    (
        "the deployments of a work queue that are ready, or that are not",
        "related: query `ready#…` or `unready#<queue id>`",
    ),
    ("the events that relate to a flow run, by time", "related: query each shard of `related#<resource id>`, then get"),
    ("all flow runs by start time (or the expected one)", "by_start: query each shard"),
    ("all flow runs or task runs by expected start time", "by_time: query each shard"),
    ("all events by time of occurrence", "by_time: query each shard"),
    ("all artifacts by creation or id, all latest artifacts by creation", "by_time: query each shard, then get"),
    ("all logs by time", "by_time: query each shard"),
    ("all runs by next scheduled start time", "by_next_start: query each shard, then get"),
    ("all runs by end time", "by_end: query each shard, then get"),
    ("all flows or runs by name", "by_name: query each shard, then get"),
    ("all deployments by name", "by_name: query each shard, then get"),
    ("all concurrency limits by name", "by_name: query each shard, then get"),
    ("all variables by name", "by_name: query each shard, then get"),
    ("all work pools by name", "by_name: query each shard, then get"),
    ("all work queues by name", "by_name: query each shard, then get"),
    ("all artifacts or latest artifacts by key", "by_name: query each shard, then get"),
    ("all latest artifacts by the id of their collection", "lookup: query each shard, then get"),
    ("all flows, deployments or variables by creation, all runs by id", "lookup: query each shard, then get"),
    ("all API keys by creation, for the command that lists them", "lookup: query `api_keys#0`, then get"),
    ("the flow runs of a flow, by start time", "by_parent: query each shard of `flow#<flow id>`"),
    ("the deployments of a flow, by name", "by_parent: query `deployments#<flow id>`"),
    ("the task runs of a flow run, by expected start time", "by_parent: query each shard of `flow_run#<flow run id>`"),
    (
        "the flow runs in states of some types, by start time",
        "by_state: query each shard of `flow_runs#<state type>`, then get",
    ),
    (
        "the flow runs of a deployment, by start time",
        "by_deployment: query each shard of `deployment#<deployment id>`, then get",
    ),
    (
        "the flow runs of a work queue, by start time; a work pool's are those of its queues",
        "by_work_queue: query each shard of `work_queue#<work queue id>`, then get",
    ),
    (
        "the scheduled flow runs of a work queue, by next start",
        "waiting_in_queue: query each shard of `work_queue#<work queue id>`, then get",
    ),
    (
        "the flow runs that hold a slot of a work queue, by id",
        "occupying: query each shard of `active#<work queue id>` and of `cancelling#<work queue id>`",
    ),
    (
        "the scheduled flow runs of a deployment, by next start",
        "waiting_of_deployment: query each shard of `deployment#<deployment id>`, then get",
    ),
];

/// A global secondary index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Index {
    /// All flow runs by start time, or by expected start time before they start.
    ByStart,
    /// All runs by expected start time, all events by occurrence, all log chunks by window, all artifacts by creation.
    ByTime,
    /// All runs by next scheduled start time.
    ByNextStart,
    /// All runs by end time.
    ByEnd,
    /// All flows, deployments, runs, concurrency limits, variables, work pools and work queues by name, all artifacts by
    /// key.
    ByName,
    /// Flow runs and deployments by flow, task runs by flow run.
    ByParent,
    /// All flows, deployments, variables and API keys by creation time, all runs by id, states by id, log chunks and
    /// artifacts by task run, events by resource.
    Lookup,
    /// Events and artifacts by their flow run, subflow runs by the flow run and task run around them, states of flow
    /// runs, leases, workers, pools and queues by when the server acts on them, deployments by when their schedules are
    /// looked at next.
    Related,
    /// Flow runs by the type of their state, then by start time as in `by_start`.
    ByState,
    /// Flow runs by deployment, then by start time.
    ByDeployment,
    /// Flow runs by work pool, then by start time.
    ByWorkQueue,
    /// Flow runs that are scheduled, by work queue, then by next scheduled start time.
    WaitingInQueue,
    /// Flow runs that are scheduled, by deployment, then by next scheduled start time.
    WaitingOfDeployment,
    /// Flow runs that hold a slot of their work queue, by queue, then by id.
    Occupying,
}

/// Which attributes an index carries besides the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// The whole record: `head`, `tail` and `version`, but not what other indexes are keyed by.
    All,
    /// `head`, `brief` and `version`.
    Head,
    /// Keys, and the sort keys of the collection's other orders, so that a group can be sorted without being read whole.
    Orders,
    /// Keys only; the item is fetched by its primary key.
    Keys,
}

/// The indexes whose sort keys [`Projection::Orders`] adds; by id, records are sorted by their own keys.
pub const ORDERS: [Index; 4] = [Index::ByTime, Index::ByNextStart, Index::ByEnd, Index::ByName];

impl Projection {
    /// Returns the attributes that are carried besides the keys of the table and the index.
    pub fn attributes(self) -> Vec<String> {
        let names: &[&str] = match self {
            Self::All => &["head", "tail", "version"],
            Self::Head => &["head", BRIEF, "version"],
            Self::Orders => return ORDERS.map(Index::sort).to_vec(),
            Self::Keys => &[],
        };
        names.iter().copied().map(str::to_owned).collect()
    }
}

impl Index {
    /// Every index of the table.
    pub const ALL: [Self; 14] = [
        Self::ByStart,
        Self::ByTime,
        Self::ByNextStart,
        Self::ByEnd,
        Self::ByName,
        Self::ByParent,
        Self::Lookup,
        Self::Related,
        Self::ByState,
        Self::ByDeployment,
        Self::ByWorkQueue,
        Self::WaitingInQueue,
        Self::WaitingOfDeployment,
        Self::Occupying,
    ];

    /// Returns the index's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ByStart => "by_start",
            Self::ByTime => "by_time",
            Self::ByNextStart => "by_next_start",
            Self::ByEnd => "by_end",
            Self::ByName => "by_name",
            Self::ByParent => "by_parent",
            Self::Lookup => "lookup",
            Self::Related => "related",
            Self::ByState => "by_state",
            Self::ByDeployment => "by_deployment",
            Self::ByWorkQueue => "by_work_queue",
            Self::WaitingInQueue => "waiting_in_queue",
            Self::WaitingOfDeployment => "waiting_of_deployment",
            Self::Occupying => "occupying",
        }
    }

    /// Returns what the index carries.
    pub fn projection(self) -> Projection {
        match self {
            Self::ByStart | Self::ByParent => Projection::All,
            Self::ByTime => Projection::Head,
            Self::ByState | Self::ByDeployment | Self::ByWorkQueue => Projection::Orders,
            _ => Projection::Keys,
        }
    }

    /// Returns the attribute with the index's partition key.
    ///
    /// The indexes that list whole collections share one: an item is in the same shard of each.
    pub fn partition(self) -> String {
        match self {
            Self::ByStart | Self::ByTime | Self::ByNextStart | Self::ByEnd | Self::ByName => SHARD.to_owned(),
            _ => format!("{}_pk", self.name()),
        }
    }

    /// Returns the attribute with the index's sort key.
    ///
    /// The indexes of flow runs that differ only in what they are grouped by share those of the whole collection.
    pub fn sort(self) -> String {
        let ordered_as = match self {
            Self::ByState | Self::ByDeployment | Self::ByWorkQueue => Self::ByStart,
            Self::WaitingInQueue | Self::WaitingOfDeployment => Self::ByNextStart,
            Self::Occupying => Self::Lookup,
            _ => self,
        };
        format!("{}_sk", ordered_as.name())
    }
}

/// An item's place in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKey {
    /// The index.
    pub index: Index,
    /// The index's partition key.
    pub pk: String,
    /// The index's sort key.
    pub sk: String,
}

/// Turns an item's places into the attributes that the indexes are keyed by.
///
/// # Errors
/// [`Error::Internal`] if two places would need different values of one attribute.
pub fn attributes(index_keys: Vec<IndexKey>) -> Result<BTreeMap<String, String>> {
    let mut attributes = BTreeMap::new();
    for IndexKey { index, pk, sk } in index_keys {
        for (attribute, value) in [(index.partition(), pk), (index.sort(), sk)] {
            if attributes.insert(attribute, value.clone()).is_some_and(|other| other != value) {
                return Err(Error::Internal(format!("an item has two places in the partitions of {}", index.name())));
            }
        }
    }
    Ok(attributes)
}

/// A kind of record that is listed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Collection {
    /// All flows.
    Flows,
    /// All deployments.
    Deployments,
    /// All flow runs.
    FlowRuns,
    /// All task runs.
    TaskRuns,
    /// All events.
    Events,
    /// All logs, in chunks.
    Logs,
    /// All API keys.
    ApiKeys,
    /// All concurrency limits.
    ConcurrencyLimits,
    /// All variables.
    Variables,
    /// All work pools.
    WorkPools,
    /// All work queues.
    WorkQueues,
    /// All artifacts.
    Artifacts,
    /// All collections of artifacts of one key.
    ArtifactCollections,
    /// The states of flow runs, leases, workers, pools, queues and watches that the server acts on at some time.
    Timers,
    /// The deployments with active schedules.
    Scheduling,
}

impl Collection {
    fn name(self) -> &'static str {
        match self {
            Self::Flows => "flows",
            Self::Deployments => "deployments",
            Self::FlowRuns => "flow_runs",
            Self::TaskRuns => "task_runs",
            Self::Events => "events",
            Self::Logs => "logs",
            Self::ApiKeys => "api_keys",
            Self::ConcurrencyLimits => "concurrency_limits",
            Self::Variables => "variables",
            Self::WorkPools => "work_pools",
            Self::WorkQueues => "work_queues",
            Self::Artifacts => "artifacts",
            Self::ArtifactCollections => "artifact_collections",
            Self::Timers => "timers",
            Self::Scheduling => "scheduling",
        }
    }
}

/// Over how many index partitions each collection is spread.
///
/// Fixed for a table's life: a reader that counts on fewer shards than a writer used would miss records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards(pub u8);

impl From<u8> for Shards {
    fn from(shards: u8) -> Self {
        Self(shards)
    }
}

/// How many shards at most the groups have that workers poll: few, as each empty poll asks all of them.
///
/// At 1,000 flow runs a second in one queue, of one deployment, each key of four is written 500 times a second.
const SHARDS_OF_POLLED_GROUPS: u8 = 4;

impl Shards {
    /// Returns the shards of each group in `index`.
    #[must_use]
    pub fn of_groups_in(self, index: Index) -> Self {
        match index {
            Index::WaitingInQueue | Index::WaitingOfDeployment | Index::Occupying => {
                Self(self.0.min(SHARDS_OF_POLLED_GROUPS))
            }
            _ => self,
        }
    }

    /// Returns the index partition of the record `id` in `collection`.
    pub fn of(self, collection: Collection, id: Uuid) -> String {
        self.within(collection.name(), id)
    }

    /// Returns all index partitions of `collection`.
    pub fn all(self, collection: Collection) -> Vec<String> {
        self.all_within(collection.name())
    }

    /// Returns the index partition of the record `id` in a group of records that may be as busy as a whole collection.
    pub fn within(self, group: &str, id: Uuid) -> String {
        let shard = id.as_u128() % u128::from(self.0.max(1));
        format!("{group}#{shard}")
    }

    /// Returns all index partitions of such a group.
    pub fn all_within(self, group: &str) -> Vec<String> {
        (0..self.0.max(1)).map(|shard| format!("{group}#{shard}")).collect()
    }
}

/// Writes a time or nothing so that text order is time order, and nothing comes first.
pub fn time_or_null(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NULL.to_owned(), Timestamp::sortable)
}

/// Returns what a missing value sorts as.
pub fn null() -> String {
    NULL.to_owned()
}

/// Appends the id that makes equal sort values distinct.
///
/// What stands between them sorts before every printable character, so that a name comes before its continuations.
pub fn sort_with_id(value: &str, id: impl std::fmt::Display) -> String {
    // DynamoDB takes 1,024 bytes of sort key; what follows can't decide an order that a person would see.
    let end = (0..=value.len().min(900)).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    format!("{}\u{1}{id}", &value[..end])
}

/// Returns what [`sort_with_id`] made a sort key of, without the id.
pub fn without_id(key: &str) -> &str {
    key.rsplit_once('\u{1}').map_or(key, |(value, _)| value)
}

/// Returns the key of a flow.
pub fn flow(id: FlowId) -> Key {
    Key::new(format!("flow#{id}"), "flow")
}

/// Returns the key of a deployment.
pub fn deployment(id: DeploymentId) -> Key {
    Key::new(format!("deployment#{id}"), "deployment")
}

/// Returns the key of what is known of the polls for a deployment's runs, beside the deployment.
pub fn readiness(id: DeploymentId) -> Key {
    Key::new(format!("deployment#{id}"), "readiness")
}

/// Returns the key of what watches over a deployment's service levels, beside the deployment.
pub fn deployment_watch(id: DeploymentId) -> Key {
    Key::new(format!("deployment#{id}"), WATCH)
}

/// Returns the key of what watches over a flow run's service levels, beside the run and before its states.
pub fn flow_run_watch(id: FlowRunId) -> Key {
    Key::new(format!("flow_run#{id}"), WATCH)
}

const WATCH: &str = "agreements";

/// Returns the `related` partition of the deployments of a work queue that are ready, or of those that are not.
pub fn deployments_of_queue(queue: WorkQueueId, are_ready: bool) -> String {
    if are_ready { format!("ready#{queue}") } else { format!("unready#{queue}") }
}

/// Returns the key of the claim on a deployment's name within its flow.
pub fn unique_deployment_name(flow: FlowId, name: &str) -> Key {
    unique("deployment", &format!("{flow}#{}", bounded(name)))
}

/// Returns the key of a flow run.
pub fn flow_run(id: FlowRunId) -> Key {
    Key::new(format!("flow_run#{id}"), "run")
}

/// Returns the key of a task run.
pub fn task_run(id: TaskRunId) -> Key {
    Key::new(format!("task_run#{id}"), "run")
}

/// Returns the key of a concurrency limit.
pub fn concurrency_limit(id: ConcurrencyLimitId) -> Key {
    Key::new(format!("concurrency_limit#{id}"), "limit")
}

/// Returns the key of the claim on a concurrency limit's name.
pub fn unique_concurrency_limit_name(name: &str) -> Key {
    unique("concurrency_limit", name)
}

/// Returns the key of what says that a request for slots was carried out.
pub fn slots_taken(request: Uuid) -> Key {
    unique("slots", &request.to_string())
}

/// Returns the key of a variable.
pub fn variable(id: VariableId) -> Key {
    Key::new(format!("variable#{id}"), "variable")
}

/// Returns the key of the claim on a variable's name.
pub fn unique_variable_name(name: &str) -> Key {
    unique("variable", name)
}

/// Returns the key of a work pool.
pub fn work_pool(id: WorkPoolId) -> Key {
    Key::new(format!("work_pool#{id}"), "pool")
}

/// Returns the key of what is kept of a deleted work pool.
pub fn deleted_work_pool(id: WorkPoolId) -> Key {
    Key::new(format!("work_pool#{id}"), "deleted")
}

/// Returns the key of the claim on a work pool's name.
pub fn unique_work_pool_name(name: &str) -> Key {
    unique("work_pool", name)
}

/// Returns the key of a work queue.
pub fn work_queue(id: WorkQueueId) -> Key {
    Key::new(format!("work_queue#{id}"), "queue")
}

/// Returns the key of what is kept of a deleted work queue.
pub fn deleted_work_queue(id: WorkQueueId) -> Key {
    Key::new(format!("work_queue#{id}"), "deleted")
}

/// Returns the key of a worker, beside its pool.
pub fn worker(pool: WorkPoolId, name: &str) -> Key {
    Key::new(work_pool(pool).pk, format!("{WORKERS}{}", bounded(name)))
}

/// What the sort keys of a pool's workers start with.
pub const WORKERS: &str = "worker#";

/// Returns the key of an artifact.
pub fn artifact(id: ArtifactId) -> Key {
    Key::new(format!("artifact#{id}"), "artifact")
}

/// Returns the key of the collection of the artifacts of `key`.
pub fn artifact_collection(key: &str) -> Key {
    Key::new(artifacts_of_key(key), "collection")
}

/// Returns the key of what says that an artifact is in the collection of `key`.
pub fn keyed_artifact(key: &str, created: Timestamp, id: ArtifactId) -> Key {
    Key::new(artifacts_of_key(key), format!("{KEYED_ARTIFACTS}{}#{id}", created.sortable()))
}

/// Returns the partition of the artifacts of a key.
pub fn artifacts_of_key(key: &str) -> String {
    format!("artifact_key#{}", bounded(key))
}

/// What the sort keys of the artifacts of a key start with.
pub const KEYED_ARTIFACTS: &str = "artifact#";

/// Returns the key of a lease.
pub fn lease(id: LeaseId) -> Key {
    Key::new(format!("lease#{id}"), "lease")
}

/// Returns the key of an operation on many flow runs.
pub fn bulk_operation(id: BulkOperationId) -> Key {
    Key::new(format!("bulk_operation#{id}"), "operation")
}

/// Returns the key of a part of an operation on many flow runs.
pub fn bulk_part(id: BulkOperationId, number: usize) -> Key {
    Key::new(format!("bulk_operation#{id}#{number}"), "part")
}

/// Returns the key of what says that an operation on many flow runs has treated one of them.
pub fn treated_flow_run(operation: BulkOperationId, run: FlowRunId) -> Key {
    unique("bulk_operation", &format!("{operation}#{run}"))
}

/// Returns the key of an automation.
pub fn automation(id: AutomationId) -> Key {
    Key::new(format!("automation#{id}"), "automation")
}

/// Returns the partition of the automations that have to do with a resource, by their ids.
pub fn automations_of(resource: &str) -> String {
    format!("automations_of#{}", bounded(resource))
}

/// Returns the key of what says that an automation has to do with a resource.
pub fn related_automation(resource: &str, id: AutomationId) -> Key {
    Key::new(automations_of(resource), id.to_string())
}

/// Returns the key of an API key's record.
pub fn api_key(id: ApiKeyId) -> Key {
    Key::new(format!("api_key#{id}"), "key")
}

/// Returns the key of a websocket connection.
pub fn connection(id: &str) -> Key {
    Key::new(format!("connection#{}", bounded(id)), "connection")
}

/// Returns the key of an event.
pub fn event(id: EventId) -> Key {
    Key::new(format!("event#{id}"), "event")
}

/// What an item of the stream is about, as far as its key says and a consumer cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A flow.
    Flow(FlowId),
    /// A deployment.
    Deployment(DeploymentId),
    /// What is known of the polls for a deployment's runs.
    Readiness(DeploymentId),
    /// What watches over a deployment's service levels.
    DeploymentWatch(DeploymentId),
    /// A flow run.
    FlowRun(FlowRunId),
    /// What watches over a flow run's service levels.
    FlowRunWatch(FlowRunId),
    /// A task run.
    TaskRun(TaskRunId),
    /// An event.
    Event(EventId),
    /// A part of an operation on many flow runs.
    BulkPart(BulkOperationId),
    /// A concurrency limit.
    ConcurrencyLimit(ConcurrencyLimitId),
    /// A lease.
    Lease(LeaseId),
    /// A variable.
    Variable(VariableId),
    /// What is left in the place of a deleted record.
    Tombstone,
    /// A work pool.
    WorkPool(WorkPoolId),
    /// What is kept of a deleted work pool.
    DeletedWorkPool(WorkPoolId),
    /// A worker of this pool.
    Worker(WorkPoolId),
    /// A work queue.
    WorkQueue(WorkQueueId),
    /// What is kept of a deleted work queue.
    DeletedWorkQueue(WorkQueueId),
    /// An artifact.
    Artifact(ArtifactId),
    /// The collection of the artifacts of a key.
    ArtifactCollection,
}

impl Subject {
    /// Reads the key of one of these records; `None` for any other item, such as a state.
    pub fn of(key: &Key) -> Option<Self> {
        let (kind, id) = key.pk.split_once('#')?;
        match (kind, key.sk.as_str()) {
            ("flow", "flow") => id.parse().ok().map(Self::Flow),
            ("flow", TOMBSTONE) => Some(Self::Tombstone),
            ("deployment", "deployment") => id.parse().ok().map(Self::Deployment),
            ("deployment", "readiness") => id.parse().ok().map(Self::Readiness),
            ("deployment", WATCH) => id.parse().ok().map(Self::DeploymentWatch),
            ("flow_run", "run") => id.parse().ok().map(Self::FlowRun),
            ("flow_run", WATCH) => id.parse().ok().map(Self::FlowRunWatch),
            ("task_run", "run") => id.parse().ok().map(Self::TaskRun),
            ("event", "event") => id.parse().ok().map(Self::Event),
            ("concurrency_limit", "limit") => id.parse().ok().map(Self::ConcurrencyLimit),
            ("concurrency_limit", TOMBSTONE) => Some(Self::Tombstone),
            ("lease", "lease") => id.parse().ok().map(Self::Lease),
            ("variable", "variable") => id.parse().ok().map(Self::Variable),
            ("variable" | "deployment", TOMBSTONE) => Some(Self::Tombstone),
            ("work_pool", "pool") => id.parse().ok().map(Self::WorkPool),
            ("work_pool", "deleted") => id.parse().ok().map(Self::DeletedWorkPool),
            ("work_pool", sort) if sort.starts_with(WORKERS) => id.parse().ok().map(Self::Worker),
            ("work_queue", "queue") => id.parse().ok().map(Self::WorkQueue),
            ("work_queue", "deleted") => id.parse().ok().map(Self::DeletedWorkQueue),
            ("artifact", "artifact") => id.parse().ok().map(Self::Artifact),
            ("artifact_key", "collection") => Some(Self::ArtifactCollection),
            ("artifact_key", TOMBSTONE) => Some(Self::Tombstone),
            ("bulk_operation", "part") => id.split('#').next()?.parse().ok().map(Self::BulkPart),
            _ => None,
        }
    }
}

/// Returns the key of a state in the partition of its run.
pub fn state(run: &Key, time: Timestamp, id: StateId) -> Key {
    Key::new(run.pk.clone(), format!("{STATES}{}#{id}", time.sortable()))
}

/// Returns the key of the run that entered the state under `state`; nothing if that is no state's key.
pub fn run_of_state(state: &Key) -> Option<Key> {
    state.sk.starts_with(STATES).then(|| Key::new(state.pk.clone(), "run"))
}

/// Reads the time that a sort key starts with; nothing if it starts with none.
pub fn time_of(sort_key: &str) -> Option<Timestamp> {
    let (time, _) = sort_key.split_once('\u{1}')?;
    time.parse().ok()
}

/// What the sort keys of a run's states start with.
pub const STATES: &str = "state#";

/// Returns the key of a flow run's input; of inputs whose keys start alike, the sort keys start alike.
pub fn flow_run_input(run: FlowRunId, key: &str) -> Key {
    let sort = match key.split_at_checked(LONGEST_TEXT) {
        Some((start, rest)) if !rest.is_empty() => format!("{INPUTS}{start}#{}", digest(key)),
        _ => format!("{INPUTS}{key}"),
    };
    Key::new(format!("flow_run#{run}"), sort)
}

/// What the sort keys of a flow run's inputs start with.
pub const INPUTS: &str = "input#";

/// Returns the key of what says that a task run holds a lease.
pub fn held_lease(run: TaskRunId, lease: LeaseId) -> Key {
    Key::new(format!("task_run#{run}"), format!("{LEASES}{lease}"))
}

/// What the sort keys of the leases that a task run holds start with.
pub const LEASES: &str = "lease#";

/// Returns the partition of the completed states under a task's cache key.
pub fn cached_states(cache_key: &str) -> String {
    format!("task_cache#{}", bounded(cache_key))
}

/// Returns the key of what says that a state is cached.
pub fn cached_state(cache_key: &str, time: Timestamp, id: StateId) -> Key {
    Key::new(cached_states(cache_key), format!("{STATES}{}#{id}", time.sortable()))
}

/// Returns the key of a client's CSRF token.
pub fn csrf_token(client: &str) -> Key {
    Key::new(format!("csrf_token#{}", bounded(client)), "token")
}

/// Returns the partition of the logs of a flow run, or of a task run without one, or of neither.
pub fn logs_partition(flow_run: Option<FlowRunId>, task_run: Option<TaskRunId>) -> String {
    match (flow_run, task_run) {
        (Some(id), _) => format!("logs#{id}"),
        (None, Some(id)) => format!("logs#task#{id}"),
        (None, None) => "logs#none".to_owned(),
    }
}

/// Returns the key of a part of a chunk of logs, from the window that the logs are in and the time of the first of them.
pub fn log_chunk(partition: String, window: Timestamp, first: Timestamp, chunk: Uuid, part: usize) -> Key {
    Key::new(partition, format!("{}#{}#{chunk}#{part}", window.sortable(), first.sortable()))
}

/// Returns the `lookup` partition of a state's id.
pub fn state_lookup(id: StateId) -> String {
    format!("state#{id}")
}

/// Returns the `lookup` partition of a task run's logs.
pub fn task_logs_lookup(id: TaskRunId) -> String {
    format!("logs#{id}")
}

/// Returns the `lookup` partition of a task run's artifacts.
pub fn artifacts_of_task_run(id: TaskRunId) -> String {
    format!("artifacts#{id}")
}

/// Returns the `related` partition of a flow run's artifacts.
pub fn artifacts_of_flow_run(id: FlowRunId) -> String {
    format!("artifacts#{id}")
}

/// Returns the `lookup` partition of a resource's events.
pub fn resource_lookup(resource: &str) -> String {
    format!("resource#{}", bounded(resource))
}

/// Returns the group in `related` of the events that relate to a resource: those of all task runs of a flow run, for one.
pub fn related_lookup(resource: &str) -> String {
    format!("related#{}", bounded(resource))
}

/// Returns the `related` partition of a flow run's subflow runs.
pub fn subflows_of(parent: FlowRunId) -> String {
    format!("subflows#{parent}")
}

/// Returns the `related` partition of a task run's subflow runs, which are in no flow run if the task run is in none.
///
/// Their sort keys start with the task run's id.
pub fn subflows_of_task_run(flow_run: Option<FlowRunId>, task_run: TaskRunId) -> String {
    flow_run.map_or_else(|| format!("subflows#task#{task_run}"), subflows_of)
}

/// Returns the group of a flow's runs in `by_parent`.
pub fn runs_of_flow(id: FlowId) -> String {
    format!("flow#{id}")
}

/// Returns the group of the flow runs in a state of this type in `by_state`.
pub fn runs_in_state(r#type: StateType) -> String {
    format!("flow_runs#{}", r#type.as_str())
}

/// Returns the group of a deployment's runs in `by_deployment`, and of those that are scheduled in `waiting_of_deployment`.
pub fn runs_of_deployment(id: DeploymentId) -> String {
    format!("deployment#{id}")
}

/// Returns the group of a work queue's runs in `by_work_queue`, and of those that are scheduled in `waiting_in_queue`.
pub fn runs_of_work_queue(id: WorkQueueId) -> String {
    format!("work_queue#{id}")
}

/// Returns the group of the runs of a work queue in `occupying` that are to be infrastructure, or are: pending and running.
pub fn active_runs_of_work_queue(id: WorkQueueId) -> String {
    format!("active#{id}")
}

/// Returns the group of the runs of a work queue in `occupying` that are being cancelled.
pub fn cancelling_runs_of_work_queue(id: WorkQueueId) -> String {
    format!("cancelling#{id}")
}

/// Returns the `by_parent` partition of a flow's deployments.
pub fn deployments_of_flow(id: FlowId) -> String {
    format!("deployments#{id}")
}

/// Returns the group of a flow run's task runs in `by_parent`.
pub fn runs_in_flow_run(id: FlowRunId) -> String {
    format!("flow_run#{id}")
}

/// Returns the key of the claim on a flow's name.
pub fn unique_flow_name(name: &str) -> Key {
    unique("flow", name)
}

/// Returns the key of the claim on a flow run's idempotency key.
pub fn unique_flow_run(flow: FlowId, idempotency_key: &str) -> Key {
    unique("flow_run", &format!("{flow}#{}", bounded(idempotency_key)))
}

/// Returns the key of the claim on a task run's place in its flow run.
pub fn unique_task_run(flow_run: Option<FlowRunId>, task_key: &str, dynamic_key: &str) -> Key {
    let flow_run = flow_run.map(|id| id.to_string()).unwrap_or_default();
    unique("task_run", &format!("{flow_run}#{}#{}", bounded(task_key), bounded(dynamic_key)))
}

fn unique(kind: &str, value: &str) -> Key {
    Key::new(format!("unique#{kind}#{}", bounded(value)), "unique")
}

/// How many bytes of a client's text are written into a key as they are.
///
/// A partition key takes 2,048 bytes and may hold several texts, a sort key takes 1,024.
pub const LONGEST_TEXT: usize = 600;

/// Keeps a client's text within a key: a longer one is replaced by its digest.
fn bounded(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= LONGEST_TEXT { text.into() } else { format!("sha256#{}", digest(text)).into() }
}

fn digest(text: &str) -> String {
    let hex: Vec<String> = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat()
}

/// Returns the request that makes the table `name`, as the infrastructure template declares it.
///
/// # Errors
/// Only if the SDK refuses a definition that this file holds.
pub fn definition(
    client: &aws_sdk_dynamodb::Client,
    name: &str,
) -> Result<aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder, BuildError> {
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(PARTITION, SORT)?))
        .attribute_definitions(text_attribute(PARTITION)?)
        .attribute_definitions(text_attribute(SORT)?)
        .stream_specification(
            StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::NewAndOldImages)
                .build()?,
        );
    let keys: BTreeSet<String> = Index::ALL.into_iter().flat_map(|index| [index.partition(), index.sort()]).collect();
    for key in keys {
        request = request.attribute_definitions(text_attribute(&key)?);
    }
    for index in Index::ALL {
        let carried = index.projection().attributes();
        let projection = if carried.is_empty() {
            aws_sdk_dynamodb::types::Projection::builder().projection_type(ProjectionType::KeysOnly)
        } else {
            aws_sdk_dynamodb::types::Projection::builder()
                .projection_type(ProjectionType::Include)
                .set_non_key_attributes(Some(carried))
        };
        request = request.global_secondary_indexes(
            GlobalSecondaryIndex::builder()
                .index_name(index.name())
                .set_key_schema(Some(key_schema(&index.partition(), &index.sort())?))
                .projection(projection.build())
                .build()?,
        );
    }
    Ok(request)
}

fn key_schema(partition: &str, sort: &str) -> Result<Vec<KeySchemaElement>, BuildError> {
    Ok(vec![
        KeySchemaElement::builder().attribute_name(partition).key_type(KeyType::Hash).build()?,
        KeySchemaElement::builder().attribute_name(sort).key_type(KeyType::Range).build()?,
    ])
}

fn text_attribute(name: &str) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_sorts_before_any_time() {
        assert!(time_or_null(None) < time_or_null(Some(Timestamp::now())));
    }

    #[test]
    fn an_item_is_in_one_shard() {
        let place = |index, pk: &str| IndexKey { index, pk: pk.to_owned(), sk: "sort".to_owned() };
        let attributes = |other| super::attributes(vec![place(Index::ByTime, "flows#0"), other]);
        assert_eq!(attributes(place(Index::ByName, "flows#0")).unwrap().len(), 3);
        assert_eq!(attributes(place(Index::Lookup, "state#1")).unwrap().len(), 4);
        attributes(place(Index::ByName, "flows#1")).unwrap_err();
    }

    #[test]
    fn long_texts_stay_within_a_key() {
        let key = unique_flow_run(FlowId::new(), &"k".repeat(5_000));
        assert!(key.pk.len() < 2_048);
        assert_ne!(key.pk, unique_flow_run(FlowId::new(), &"k".repeat(5_001)).pk);
        assert!(sort_with_id(&"ü".repeat(1_000), FlowId::new()).len() <= 1_024);
    }

    #[test]
    fn a_key_tells_its_subject() {
        let (flow, run, task_run, event_id) = (FlowId::new(), FlowRunId::new(), TaskRunId::new(), EventId::new());
        assert_eq!(Subject::of(&super::flow(flow)), Some(Subject::Flow(flow)));
        assert_eq!(Subject::of(&super::flow(flow).tombstone()), Some(Subject::Tombstone));
        let id = DeploymentId::new();
        assert_eq!(Subject::of(&deployment(id)), Some(Subject::Deployment(id)));
        assert_eq!(Subject::of(&deployment(id).tombstone()), Some(Subject::Tombstone));
        assert_eq!(Subject::of(&readiness(id)), Some(Subject::Readiness(id)));
        assert_eq!(Subject::of(&deployment_watch(id)), Some(Subject::DeploymentWatch(id)));
        assert_eq!(Subject::of(&flow_run(run)), Some(Subject::FlowRun(run)));
        assert_eq!(Subject::of(&flow_run_watch(run)), Some(Subject::FlowRunWatch(run)));
        assert_eq!(Subject::of(&super::task_run(task_run)), Some(Subject::TaskRun(task_run)));
        assert_eq!(Subject::of(&event(event_id)), Some(Subject::Event(event_id)));
        let operation = BulkOperationId::new();
        assert_eq!(Subject::of(&bulk_part(operation, 3)), Some(Subject::BulkPart(operation)));
        assert_eq!(Subject::of(&bulk_operation(operation)), None);
        let (limit, lease_id) = (ConcurrencyLimitId::new(), LeaseId::new());
        assert_eq!(Subject::of(&concurrency_limit(limit)), Some(Subject::ConcurrencyLimit(limit)));
        assert_eq!(Subject::of(&concurrency_limit(limit).tombstone()), Some(Subject::Tombstone));
        assert_eq!(Subject::of(&lease(lease_id)), Some(Subject::Lease(lease_id)));
        let variable_id = VariableId::new();
        assert_eq!(Subject::of(&variable(variable_id)), Some(Subject::Variable(variable_id)));
        assert_eq!(Subject::of(&variable(variable_id).tombstone()), Some(Subject::Tombstone));
        let artifact_id = ArtifactId::new();
        assert_eq!(Subject::of(&artifact(artifact_id)), Some(Subject::Artifact(artifact_id)));
        assert_eq!(Subject::of(&artifact_collection("report")), Some(Subject::ArtifactCollection));
        assert_eq!(Subject::of(&artifact_collection("report").tombstone()), Some(Subject::Tombstone));
        assert_eq!(Subject::of(&keyed_artifact("report", Timestamp::now(), ArtifactId::new())), None);
        let (pool, queue) = (WorkPoolId::new(), WorkQueueId::new());
        assert_eq!(Subject::of(&worker(pool, "deleted")), Some(Subject::Worker(pool)));
        assert_eq!(Subject::of(&work_pool(pool)), Some(Subject::WorkPool(pool)));
        assert_eq!(Subject::of(&deleted_work_pool(pool)), Some(Subject::DeletedWorkPool(pool)));
        assert_eq!(Subject::of(&work_queue(queue)), Some(Subject::WorkQueue(queue)));
        assert_eq!(Subject::of(&deleted_work_queue(queue)), Some(Subject::DeletedWorkQueue(queue)));
        assert_eq!(Subject::of(&state(&flow_run(run), Timestamp::now(), StateId::new())), None);
    }

    #[test]
    fn inputs_are_found_by_the_start_of_their_keys() {
        let run = FlowRunId::new();
        let sort_key = |length| flow_run_input(run, &"k".repeat(length)).sk;
        assert!(sort_key(3_000).len() <= 1_024);
        assert!(sort_key(3_000).starts_with(&sort_key(LONGEST_TEXT)));
        assert_ne!(sort_key(3_000), sort_key(3_001));
    }

    #[test]
    fn every_record_has_one_of_the_shards() {
        let shards = Shards(4);
        let id = Uuid::new_v4();
        assert!(shards.all(Collection::FlowRuns).contains(&shards.of(Collection::FlowRuns, id)));
    }
}
