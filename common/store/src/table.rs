//! THE table: every kind of item, every index and every way that leads to an item, on one page.
//!
//! An item carries its record as JSON in two attributes. `head` holds the fields that filters and sorts look at,
//! `tail` the rest; put together they are the whole record. A run also has a `brief`, what its history is made of, which
//! is parsed in a fraction of the time. In one file an index reads as much of the item beside it as it carries; DynamoDB
//! fetches what it does not keep ([`is_head_kept`]). No other attribute but the keys below is ever read or conditioned on, which
//! keeps items small and conditions simple.
//!
//! Collections over "all records of a kind" are spread over [`Shards`]: an index keyed by the kind alone would
//! be the textbook hot partition, and a hot index throttles the writes of the table itself. Readers merge the shards.
//!
//! Key functions, [`Subject`], `docs/table.md` and the tests of the keys derive from these lines ([`super::schema`]); a
//! test runs a store's method for each of [`ACCESS_PATTERNS`] and compares the way that it really takes.

use std::{borrow::Cow, collections::BTreeMap};

use domain::automations::Firing;
use domain::model::{
    ApiKey, Artifact, ArtifactCollection, BlockDocument, BlockSchema, BlockType, BulkOperation, ConcurrencyLimit,
    Connection, CsrfToken, DataKey, DeadLetter, Deployment, Event, Flow, FlowRun, FlowRunInput, Lease, ReceivedEvent,
    StateType, StoredAutomation, StreamProbe, TaskRun, Timestamp, Variable,
};
use error::{Error, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use crate::key::bounded;
use crate::{
    artifacts, automations,
    backend::BodyPart,
    block_types::InstalledBlockTypes,
    bulk_operations::FlowRunPart,
    data_keys::CurrentDataKey,
    deployment_polling,
    entity::{self, Tombstone},
    events::{TimedPlace, TransitionNote},
    heartbeats,
    key::starting_alike,
    late_runs::LateRunsCursor,
    listeners, observed_states,
    record::Item,
    schema::{KeyPart, collections, entities, groups, ids, indexes, told_of},
    slots,
    states::HistoricState,
    tallies::fill::TallyFill,
    task_runs, triggers,
    unique::Claim,
    watches,
    work_pools::StoredWorkPool,
    work_queues::StoredWorkQueue,
    workers,
};
pub use crate::{
    key::{Key, LONGEST_TEXT, null, sort_with_id, time_of, time_or_null, without_id},
    schema::{EntityKind, GroupKind, Piece, Shape, shown},
    shards::Shards,
};

/// The attribute with the partition key.
pub const PARTITION: &str = "pk";
/// The attribute with the sort key.
pub const SORT: &str = "sk";
/// The attribute with the shard of its collection that an item is in.
pub const SHARD: &str = "collection_pk";
/// The attribute with the second, in seconds since the epoch, after which DynamoDB deletes the item.
pub const EXPIRES: &str = "expires";
/// The attributes that a query reads out, besides the sort key of its index; the others only place the item.
pub const READ_OUT: &str = "pk, sk, version, head, tail";
/// The attribute with the little that queries over very many records look at.
pub const BRIEF: &str = "brief";
/// The attribute in which DynamoDB has `head` and `tail` together, of records [whose heads no index keeps](is_head_kept).
pub const BODY: &str = "body";

ids! {
    ApiKeyId, ArtifactId, AutomationId, BlockDocumentId, BlockSchemaId, BlockTypeId, BulkOperationId, CleanupMessageId,
    ConcurrencyLimitId, DataKeyId, DeadLetterId, DeploymentId, EventId, FiringId, FlowId, FlowRunId, LeaseId, SavedSearchId, StateId,
    TaskRunId, TriggerId, VariableId, WorkPoolId, WorkQueueId,
}

entities! {
    /// a flow
    flow(flow_id: FlowId) => Flow(FlowId) of Flow = ["flow", flow_id] / ["flow"];
    /// the claim on a flow's name
    unique_flow_name(name: &str) of Claim = ["unique", "flow", name] / ["unique"];

    /// a deployment
    deployment(deployment_id: DeploymentId) => Deployment(DeploymentId) of Deployment
        = ["deployment", deployment_id] / ["deployment"];
    /// the claim on a deployment's name within its flow
    unique_deployment_name(flow_id: FlowId, name: &str) of Claim = ["unique", "deployment", flow_id, name] / ["unique"];
    /// what is known of the polls for a deployment's runs
    readiness(deployment_id: DeploymentId) => Readiness(DeploymentId) of deployment_polling::Readiness
        = ["deployment", deployment_id] / ["readiness"];
    /// what watches over a deployment's service levels
    deployment_watch(deployment_id: DeploymentId) => DeploymentWatch(DeploymentId) of watches::DeploymentWatch
        = ["deployment", deployment_id] / ["agreements"];

    /// a flow run
    flow_run(flow_run_id: FlowRunId) => FlowRun(FlowRunId) of FlowRun = ["flow_run", flow_run_id] / ["run"];
    /// a state of a flow run
    flow_run_state(flow_run_id: FlowRunId, time: Timestamp, state_id: StateId) => FlowRunState of HistoricState
        = ["flow_run", flow_run_id] / ["state", time, state_id];
    /// the claim on a flow run's idempotency key
    unique_flow_run(flow_id: FlowId, idempotency_key: &str) of Claim
        = ["unique", "flow_run", flow_id, idempotency_key] / ["unique"];
    /// what watches over a flow run's service levels, before the states of the run
    flow_run_watch(flow_run_id: FlowRunId) => FlowRunWatch(FlowRunId) of watches::FlowRunWatch
        = ["flow_run", flow_run_id] / ["agreements"];
    /// what is known of a flow run's heartbeats
    flow_run_pulse(flow_run_id: FlowRunId) => FlowRunPulse(FlowRunId) of heartbeats::WatchedPulse
        = ["flow_run", flow_run_id] / ["heartbeat"];
    /// up to which next scheduled start time flow runs were looked at for being late
    late_runs_cursor() of LateRunsCursor = ["late_runs"] / ["cursor"];
    /// an input of a flow run; of inputs whose keys start alike, the sort keys start alike
    flow_run_input(flow_run_id: FlowRunId, key: &str) of FlowRunInput
        = ["flow_run", flow_run_id] / ["input", (key => starting_alike(key))];

    /// a task run
    task_run(task_run_id: TaskRunId) => TaskRun(TaskRunId) of TaskRun = ["task_run", task_run_id] / ["run"];
    /// a state of a task run
    task_run_state(task_run_id: TaskRunId, time: Timestamp, state_id: StateId) => TaskRunState of HistoricState
        = ["task_run", task_run_id] / ["state", time, state_id];
    /// the claim on a task run's place in its flow run, if it is in one
    unique_task_run(flow_run_id: Option<FlowRunId>, task_key: &str, dynamic_key: &str) of Claim
        = ["unique", "task_run", flow_run_id, task_key, dynamic_key] / ["unique"];
    /// a note that a task run holds a lease
    held_lease(task_run_id: TaskRunId, lease_id: LeaseId) of slots::HeldLease
        = ["task_run", task_run_id] / ["lease", lease_id];
    /// a note that a completed state is cached
    cached_state(cache_key: &str, time: Timestamp, state_id: StateId) of task_runs::CachedState
        = ["task_cache", cache_key] / ["state", time, state_id];

    /// a part of a chunk of logs, by the window that they are in and the time of the first of them
    log_chunk(run: LogsOf, window: Timestamp, first_time: Timestamp, chunk_id: Uuid, part: usize) => LogChunk
        = ["logs", run] / [window, first_time, chunk_id, part];

    /// an event
    event(event_id: EventId) => Event(EventId) of ReceivedEvent = ["event", event_id] / ["event"];
    /// an event in the order of time: at the time that its id tells, or at that of a flow run's transition
    timed_event(shard: usize, place: TimedPlace) => TimedEvent of ReceivedEvent
        = ["events_at", shard] / ["event", place];
    /// an event with the id of a flow run's state, which tells the run, that a client or an older version wrote
    flow_run_event(flow_run_id: FlowRunId, event_id: EventId) => FlowRunEvent(FlowRunId) of ReceivedEvent
        = ["flow_run_event", flow_run_id] / ["event", event_id];
    /// a note of when a transition occurred whose event is kept longer than its flow run
    transition_note(flow_run_id: FlowRunId, event_id: EventId) of TransitionNote
        = ["flow_run_event", flow_run_id] / ["transition", event_id];

    /// an artifact
    artifact(artifact_id: ArtifactId) => Artifact(ArtifactId) of Artifact = ["artifact", artifact_id] / ["artifact"];
    /// the collection of the artifacts of a key
    artifact_collection(key: &str) => ArtifactCollection of ArtifactCollection = ["artifact_key", key] / ["collection"];
    /// a note that an artifact is in such a collection
    keyed_artifact(key: &str, created: Timestamp, artifact_id: ArtifactId) of artifacts::KeyedArtifact
        = ["artifact_key", key] / ["artifact", created, artifact_id];

    /// a concurrency limit
    concurrency_limit(limit_id: ConcurrencyLimitId) => ConcurrencyLimit(ConcurrencyLimitId) of ConcurrencyLimit
        = ["concurrency_limit", limit_id] / ["limit"];
    /// a note that a lease holds slots of a concurrency limit, in the limits of a lease that a tag's limit is among
    listed_lease(limit_id: ConcurrencyLimitId, lease_id: LeaseId) of slots::ListedLease
        = ["concurrency_limit", limit_id] / ["lease", lease_id];
    /// the claim on a concurrency limit's name
    unique_concurrency_limit_name(name: &str) of Claim = ["unique", "concurrency_limit", name] / ["unique"];
    /// a note that a request for slots was carried out
    slots_taken(request: Uuid) of Claim = ["unique", "slots", request] / ["unique"];
    /// a lease
    lease(lease_id: LeaseId) => Lease(LeaseId) of Lease = ["lease", lease_id] / ["lease"];

    /// a variable
    variable(variable_id: VariableId) => Variable(VariableId) of Variable = ["variable", variable_id] / ["variable"];
    /// the claim on a variable's name
    unique_variable_name(name: &str) of Claim = ["unique", "variable", name] / ["unique"];

    /// a work pool, with the ids of its queues
    work_pool(pool_id: WorkPoolId) => WorkPool(WorkPoolId) of StoredWorkPool = ["work_pool", pool_id] / ["pool"];
    /// the claim on a work pool's name
    unique_work_pool_name(name: &str) of Claim = ["unique", "work_pool", name] / ["unique"];
    /// a worker, beside its pool
    worker(pool_id: WorkPoolId, name: &str) => Worker(WorkPoolId) of workers::KeptWorker
        = ["work_pool", pool_id] / ["worker", name];
    /// a cleanup that waits for a worker of its pool, beside the pool
    cleanup_message(pool_id: WorkPoolId, message_id: CleanupMessageId) => CleanupMessage(WorkPoolId)
        of domain::model::CleanupMessage = ["work_pool", pool_id] / ["cleanup", message_id];
    /// a work queue
    work_queue(queue_id: WorkQueueId) => WorkQueue(WorkQueueId) of StoredWorkQueue
        = ["work_queue", queue_id] / ["queue"];

    /// an operation on many flow runs
    bulk_operation(operation_id: BulkOperationId) of BulkOperation = ["bulk_operation", operation_id] / ["operation"];
    /// a part of such an operation
    bulk_part(operation_id: BulkOperationId, number: usize) => BulkPart(BulkOperationId) of FlowRunPart
        = ["bulk_operation", operation_id, number] / ["part"];
    /// a note that such an operation has treated a flow run
    treated_flow_run(operation_id: BulkOperationId, flow_run_id: FlowRunId) of Claim
        = ["unique", "bulk_operation", operation_id, flow_run_id] / ["unique"];

    /// an automation
    automation(automation_id: AutomationId) => Automation(AutomationId) of StoredAutomation
        = ["automation", automation_id] / ["automation"];
    /// a note that an automation has to do with a resource
    related_automation(resource: &str, automation_id: AutomationId) of automations::RelatedAutomation
        = ["automations_of", resource] / [automation_id];

    /// a note that an automation is evaluated
    evaluated_automation(automation_id: AutomationId) of automations::EvaluatedAutomation
        = ["evaluated_automations"] / ["automation", automation_id];
    /// which automations are evaluated, as a token that changes with them
    evaluated_automations() of automations::EvaluatedAutomations = ["evaluated_automations"] / ["token"];
    /// what is known of a trigger of events, for one set of values of its labels
    trigger_state(trigger_id: TriggerId, group: Uuid) => TriggerState(TriggerId) of triggers::TriggerState
        = ["trigger", trigger_id, group] / ["state"];
    /// a note that a trigger holds an event for windows that open later
    held_event(trigger_id: TriggerId, group: Uuid, time: Timestamp, event_id: EventId) of triggers::TakenEvent
        = ["trigger", trigger_id, group] / ["held", time, event_id];
    /// a note that a trigger has taken an event in
    taken_event(trigger_id: TriggerId, group: Uuid, time: Timestamp, event_id: EventId) of triggers::TakenEvent
        = ["trigger", trigger_id, group] / ["taken", time, event_id];
    /// the firings that wait in a trigger of triggers
    waiting_firings(trigger_id: TriggerId) of triggers::WaitingFirings = ["triggers", trigger_id] / ["waiting"];
    /// that an automation was triggered
    firing(firing_id: FiringId) => Firing(FiringId) of Firing = ["firing", firing_id] / ["firing"];
    /// what became of an action of a firing
    carried_out(firing_id: FiringId, action: usize) of triggers::CarriedOut
        = ["firing", firing_id] / ["action", action];

    /// work that failed for good
    dead_letter(letter_id: DeadLetterId) => DeadLetter(DeadLetterId) of DeadLetter
        = ["dead_letter", letter_id] / ["dead_letter"];

    /// how far runs and events are counted that were there before tallies
    tally_fill() => TallyFill of TallyFill = ["tallies"] / ["fill"];

    /// the change that measures how far the consumer of the table's stream is behind
    stream_probe() => StreamProbe of StreamProbe = ["stream"] / ["probe"];

    /// a client's CSRF token
    csrf_token(client: &str) of CsrfToken = ["csrf_token", client] / ["token"];
    /// an API key
    api_key(key_id: ApiKeyId) of ApiKey = ["api_key", key_id] / ["key"];
    /// a websocket connection
    connection(connection_id: &str) => Connection of Connection = ["connection", connection_id] / ["connection"];
    /// a note that a connection has asked for something, in the place of what it has asked for
    listener(place: &str, asked: &str, connection_id: &str) of listeners::Listener
        = ["listeners", place] / ["listener", asked, connection_id];
    /// a place in which connections may be noted
    listened_place(place: &str) of listeners::ListenedPlace = ["listened_places"] / ["place", place];
    /// a task worker
    task_worker(task_worker_identifier: &str) of super::task_workers::StoredTaskWorker
        = ["task_worker", task_worker_identifier] / ["task_worker"];

    /// a background task run that waits for a worker, in the queue of its task
    queued_task_run(task_key: &str, order: &str, queued: Timestamp, task_run_id: TaskRunId) => QueuedTaskRun
        of domain::model::QueuedTaskRun = ["task_queue", task_key] / ["run", order, queued, task_run_id];

    /// a saved search
    saved_search(saved_search_id: SavedSearchId) of domain::model::SavedSearch
        = ["saved_search", saved_search_id] / ["saved_search"];
    /// the claim on a saved search's name
    unique_saved_search_name(name: &str) of Claim = ["unique", "saved_search", name] / ["unique"];

    /// a type and name that states have, with the first and the last of them
    observed_state(state_type: StateType, name: &str) of observed_states::StoredObservedState
        = ["observed_state", (state_type => state_type.as_str()), name] / ["observed_state"];

    /// which block stores the results of runs by default
    result_storage() of domain::model::ResultStorage = ["result_storage"] / ["default"];

    /// a block type
    block_type(block_type_id: BlockTypeId) => BlockType(BlockTypeId) of BlockType
        = ["block_type", block_type_id] / ["block_type"];
    /// the claim on a block type's slug
    unique_block_type_slug(slug: &str) of Claim = ["unique", "block_type", slug] / ["unique"];
    /// a block schema
    block_schema(block_schema_id: BlockSchemaId) => BlockSchema(BlockSchemaId) of BlockSchema
        = ["block_schema", block_schema_id] / ["block_schema"];
    /// the claim of a block schema on a version of its checksum
    unique_block_schema_version(checksum: &str, version: &str) of Claim
        = ["unique", "block_schema", checksum] / ["version", version];
    /// a block document
    block_document(block_document_id: BlockDocumentId) => BlockDocument(BlockDocumentId) of BlockDocument
        = ["block_document", block_document_id] / ["block_document"];
    /// the claim on a block document's name among those of its type
    unique_block_document_name(block_type_id: BlockTypeId, name: &str) of Claim
        = ["unique", "block_document", block_type_id, name] / ["unique"];
    /// which block types were installed last
    installed_block_types() of InstalledBlockTypes = ["installed"] / ["block_types"];

    /// a part of a text that is too long for its item
    body_part(token: Uuid, number: usize) of BodyPart = ["body_part", token, number] / ["body_part"];

    /// a key that the data of block documents is sealed with, which itself only the master key can read
    data_key(key_id: DataKeyId) of DataKey = ["data_keys"] / ["key", key_id];
    /// which data key is in use
    current_data_key() of CurrentDataKey = ["data_keys"] / ["current"];
}

impl Subject {
    /// Says whether it is an event, wherever that stands.
    pub fn is_event(self) -> bool {
        matches!(self, Self::Event(_) | Self::TimedEvent | Self::FlowRunEvent(_))
    }
}

told_of! {
    Flow => Flow;
    Deployment => Deployment;
    ConcurrencyLimit => ConcurrencyLimit;
    Variable => Variable;
    WorkPool => StoredWorkPool;
    WorkQueue => StoredWorkQueue;
    Automation => StoredAutomation;
    BlockType => BlockType;
    BlockDocument => BlockDocument;
}

groups! {
    /// the runs of a flow in `by_parent`, and those of no deployment that are scheduled in `waiting_of_deployment`
    runs_of_flow(flow_id: FlowId) = ["flow", flow_id];
    /// the deployments of a flow, in `by_parent`
    deployments_of_flow(flow_id: FlowId) = ["deployments", flow_id];
    /// the task runs of a flow run, in `by_parent`
    runs_in_flow_run(flow_run_id: FlowRunId) = ["flow_run", flow_run_id];
    /// the flow runs in a state of this type, in `by_state`
    runs_in_state(state_type: StateType) = ["flow_runs", (state_type => state_type.as_str())];
    /// a deployment's runs in `by_deployment`, and those that are scheduled in `waiting_of_deployment`
    runs_of_deployment(deployment_id: DeploymentId) = ["deployment", deployment_id];
    /// a work queue's runs in `by_work_queue`, and those that are scheduled in `waiting_in_queue`
    runs_of_work_queue(queue_id: WorkQueueId) = ["work_queue", queue_id];
    /// the runs of a work queue in `occupying` that are to be infrastructure, or are: pending and running
    active_runs_of_work_queue(queue_id: WorkQueueId) = ["active", queue_id];
    /// the runs of a work queue in `occupying` that are being cancelled
    cancelling_runs_of_work_queue(queue_id: WorkQueueId) = ["cancelling", queue_id];
    /// a state, in `lookup`, and the task run that has ended in it, in `related`
    state_lookup(state_id: StateId) = ["state", state_id];
    /// the states of a type and name by when they were entered, in `by_name`
    states_called(state_type: StateType, name: &str) = ["states", (state_type => state_type.as_str()), name];
    /// the logs of a task run, in `lookup`
    task_logs_lookup(task_run_id: TaskRunId) = ["logs", task_run_id];
    /// the artifacts of a task run, in `lookup`
    artifacts_of_task_run(task_run_id: TaskRunId) = ["artifacts", task_run_id];
    /// the artifacts of a flow run, in `related`
    artifacts_of_flow_run(flow_run_id: FlowRunId) = ["artifacts", flow_run_id];
    /// the events of a resource, in `lookup`
    resource_lookup(resource: &str) = ["resource", resource];
    /// the events that relate to a resource, in `related`: those of all task runs of a flow run, for one
    related_lookup(resource: &str) = ["related", resource];
    /// the subflow runs of a flow run, in `related`
    subflows_of(flow_run_id: FlowRunId) = ["subflows", flow_run_id];
    /// the subflow runs of a task run that is in no flow run, in `related`
    subflows_of_lone_task_run(task_run_id: TaskRunId) = ["subflows", "task", task_run_id];
    /// the deployments of a work queue that are ready, in `related`
    ready_deployments(queue_id: WorkQueueId) = ["ready", queue_id];
    /// the deployments of a work queue that are not ready, in `related`
    unready_deployments(queue_id: WorkQueueId) = ["unready", queue_id];
    /// the block schemas of a block type, in `by_parent`
    block_schemas_of_type(block_type_id: BlockTypeId) = ["block_schemas", block_type_id];
    /// the block documents of a block type, in `related`
    block_documents_of_type(block_type_id: BlockTypeId) = ["block_documents", block_type_id];
    /// the block documents of a block schema, in `lookup`
    block_documents_of_schema(block_schema_id: BlockSchemaId) = ["block_documents", block_schema_id];
}

collections! {
    /// All flows.
    Flows "flows";
    /// All deployments.
    Deployments "deployments";
    /// All flow runs.
    FlowRuns "flow_runs";
    /// All task runs.
    TaskRuns "task_runs";
    /// All events.
    Events "events";
    /// All logs, in chunks.
    Logs "logs";
    /// All API keys.
    ApiKeys "api_keys";
    /// All operations on many flow runs.
    BulkOperations "bulk_operations";
    /// All concurrency limits.
    ConcurrencyLimits "concurrency_limits";
    /// All variables.
    Variables "variables";
    /// All work pools.
    WorkPools "work_pools";
    /// All work queues.
    WorkQueues "work_queues";
    /// All artifacts.
    Artifacts "artifacts";
    /// All collections of artifacts of one key.
    ArtifactCollections "artifact_collections";
    /// All dead letters.
    DeadLetters "dead_letters";
    /// The flow runs in a state, leases, workers, pools, queues, watches and cleanups that the server acts on at some time.
    Timers "timers";
    /// The deployments with active schedules.
    Scheduling "scheduling";
    /// All saved searches.
    SavedSearches "saved_searches";
    /// What waits for background tasks, by when it was seen first.
    TaskWorkers "task_workers";
    /// All automations.
    Automations "automations";
    /// All types and names of states.
    ObservedStates "observed_states";
    /// All block types.
    BlockTypes "block_types";
    /// All block schemas.
    BlockSchemas "block_schemas";
    /// All block documents but the anonymous ones.
    BlockDocuments "block_documents";
    /// All anonymous block documents, of which there may be many more.
    AnonymousBlockDocuments "anonymous_block_documents";
}

/// Returns the partition with the state of a trigger of events, and with the events that it has taken in.
pub fn trigger_partition(trigger: TriggerId, group: Uuid) -> String {
    trigger_state(trigger, group).pk
}

/// Returns what the sort keys of events that a trigger holds begin with or come after, from this moment on.
pub fn held_from(time: Timestamp) -> String {
    format!("held#{}", time.sortable())
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
    /// Keys only, with which the database fetches the whole record.
    ///
    /// No index is declared so. DynamoDB, which is paid for every entry that changes, makes this of others
    /// ([`Backend::carried`](crate::Backend::carried)).
    Fetched,
}

indexes! {
    /// All flow runs that have started or ended by start time; those that have not stand by next start, or in `by_state`.
    ByStart "by_start" carries All, keyed by own / own;
    /// All runs by expected start time, all events by occurrence, all log chunks by window, all artifacts and block schemas
    /// by creation.
    ByTime "by_time" carries Head, keyed by collection / own;
    /// All runs that have a next scheduled start time, by it.
    ByNextStart "by_next_start" carries Keys, keyed by collection / own;
    /// All flow runs that have ended and all task runs by end time, all block documents by the name of their type and then their own.
    ByEnd "by_end" carries Keys, keyed by collection / own;
    /// All flows, deployments, runs, concurrency limits, variables, saved searches, work pools, work queues, block types and
    /// block documents by name, all artifacts by key, all states with unusual names by type and name, and then by when they
    /// were entered.
    ByName "by_name" carries Keys, keyed by collection / own;
    /// Flow runs by flow, and then by start time or up to a minute before it; deployments by flow, task runs by flow run, block
    /// schemas by block type.
    ByParent "by_parent" carries All, keyed by own / own;
    /// All flows, deployments, variables, bulk operations and API keys by creation time, all runs by id, states by id,
    /// log chunks and artifacts by task run, events by resource, block documents by block schema.
    Lookup "lookup" carries Keys, keyed by own / own;
    /// Events and artifacts by their flow run, block documents by their type, subflow runs by the flow run and task run around
    /// them, task runs by the state that they have ended in, states of flow runs, leases, workers, pools, queues and cleanups by
    /// when the server acts on them, deployments by when their schedules are looked at next.
    Related "related" carries Keys, keyed by own / own;
    /// Flow runs by the type of their state, then by start time, or by the expected one before they start; without those that
    /// are scheduled and have not started.
    ByState "by_state" carries Orders, keyed by own / by_start;
    /// Flow runs that have started or ended by deployment, then by start time.
    ByDeployment "by_deployment" carries Orders, keyed by own / by_start;
    /// Flow runs that have started or ended by work queue, then by start time.
    ByWorkQueue "by_work_queue" carries Orders, keyed by own / by_start;
    /// Flow runs that are scheduled, by work queue, then by next scheduled start time.
    WaitingInQueue "waiting_in_queue" carries Keys, keyed by own / by_next_start;
    /// Flow runs that are scheduled, by deployment, then by next scheduled start time.
    WaitingOfDeployment "waiting_of_deployment" carries Keys, keyed by own / by_next_start;
    /// Flow runs that hold a slot of their work queue, by queue, then by id.
    Occupying "occupying" carries Keys, keyed by own / lookup;
}

/// The indexes whose sort keys [`Projection::Orders`] adds; by id, records are sorted by their own keys.
pub const ORDERS: [Index; 4] = [Index::ByTime, Index::ByNextStart, Index::ByEnd, Index::ByName];

/// Says whether DynamoDB keeps the `head` of the records in a partition of a collection in the index by time.
///
/// Each write is paid for in every index that keeps something of what has changed. The head of a run changes with each of
/// its states, and that of an event is a second unit; they are fetched by key instead. A chunk of logs is so much larger
/// than its head that a search has to look at heads.
pub fn is_head_kept(partition: &str) -> bool {
    !is_in(&[Collection::FlowRuns, Collection::TaskRuns, Collection::Events], partition)
}

/// Says whether DynamoDB has the `head` and `tail` of an item together: that of a record whose `head` no index keeps.
pub(crate) fn has_body(item: &Item) -> bool {
    item.index_keys.get(SHARD).is_some_and(|partition| !is_head_kept(partition)) || is_of_timed_events(&item.key.pk)
}

/// Returns the key of an event that stands in the order of time.
pub(crate) fn timed_event_in(shards: Shards, place: TimedPlace) -> Key {
    timed_event(shards.number_of(place.id().0), place)
}

/// Returns the partitions of all events that stand in the order of time.
pub(crate) fn timed_events(shards: Shards) -> Vec<String> {
    shards.numbers().map(|shard| timed_event(shard, TimedPlace::Told(EventId(Uuid::nil()))).pk).collect()
}

/// Returns the partition of what is known of a flow run's events by itself, without its states.
pub fn events_of_flow_run(run: FlowRunId) -> String {
    flow_run_event(run, EventId(Uuid::nil())).pk
}

/// Returns the flow run whose events a partition of the table is about.
pub(crate) fn flow_run_of_events(partition: &str) -> Option<FlowRunId> {
    partition.strip_prefix("flow_run_event#")?.parse().ok()
}

/// Says whether a partition of the table is one of a flow run with its states.
pub(crate) fn is_of_flow_run(partition: &str) -> bool {
    partition.starts_with("flow_run#")
}

/// Says whether a partition of the table is one of events that stand in the order of time.
pub(crate) fn is_of_timed_events(partition: &str) -> bool {
    partition.starts_with("events_at#")
}

/// Says whether a partition is one of all events.
pub(crate) fn is_of_events(partition: &str) -> bool {
    is_in(&[Collection::Events], partition)
}

/// Says whether records of a partition of a collection have a place in `index` only if they have the time that it is sorted by.
///
/// Nearly every run has none for most of its life, or at its end, and each place that it has is paid for. Those that have
/// none are found by their ids.
pub(crate) fn is_left_out(index: Index, partition: &str) -> bool {
    match index {
        Index::ByNextStart => is_in(&[Collection::FlowRuns, Collection::TaskRuns], partition),
        Index::ByEnd => is_in(&[Collection::FlowRuns], partition),
        _ => false,
    }
}

fn is_in(collections: &[Collection], partition: &str) -> bool {
    let name = partition.split_once('#').map_or(partition, |(name, _)| name);
    collections.iter().any(|collection| collection.name() == name)
}

/// A step of the way to what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Items of this kind are read by their keys.
    Get(&'static str),
    /// A range of a partition of the table is queried, in which there are items of this kind.
    Items(&'static str),
    /// A group of an index is queried, each of its shards if it has some.
    Group(Index, &'static str),
    /// A whole collection is queried in an index, each of its shards.
    All(Index, Collection),
}

/// How requests reach items: what is asked, and through which keys and indexes.
#[derive(Clone, Copy, Debug)]
pub struct AccessPattern {
    /// What is asked.
    pub asked: &'static str,
    /// The steps, each once, in the order of their first requests.
    ///
    /// Items that a query has found are read after it where its index does not carry them, and after them what decides
    /// whether they match.
    pub way: &'static [Step],
}

const fn asked(asked: &'static str, way: &'static [Step]) -> AccessPattern {
    AccessPattern { asked, way }
}

use Collection as C;
use Index as I;
use Step::{All, Get, Group, Items};

/// Every way that leads to an item; each has a probe in `common/tests/access_patterns`.
pub static ACCESS_PATTERNS: &[AccessPattern] = &[
    asked("a flow by its id", &[Get("flow")]),
    asked("a flow by its name", &[Get("unique_flow_name"), Get("flow")]),
    asked("a deployment by its id", &[Get("deployment")]),
    asked("a deployment by its flow and name", &[Get("unique_deployment_name"), Get("deployment")]),
    asked("a flow run by its id", &[Get("flow_run")]),
    asked("a flow run by its flow and idempotency key", &[Get("unique_flow_run"), Get("flow_run")]),
    asked("a task run by its id", &[Get("task_run")]),
    asked("a task run by its flow run, task key and dynamic key", &[Get("unique_task_run"), Get("task_run")]),
    asked("a concurrency limit by its name", &[Get("unique_concurrency_limit_name"), Get("concurrency_limit")]),
    asked("a lease by its id", &[Get("lease")]),
    asked("a variable by its id", &[Get("variable")]),
    asked("variables by their names", &[Get("unique_variable_name"), Get("variable")]),
    asked("a work pool by its name", &[Get("unique_work_pool_name"), Get("work_pool")]),
    asked(
        "the queues of a work pool, by priority",
        &[Get("unique_work_pool_name"), Get("work_pool"), Get("work_queue")],
    ),
    asked("a work queue by its id", &[Get("work_queue")]),
    asked("an artifact by its id", &[Get("artifact")]),
    asked("the latest artifact of a key", &[Get("artifact_collection"), Get("artifact")]),
    asked("the CSRF token of a client", &[Get("csrf_token")]),
    asked("an operation on many flow runs by its id", &[Get("bulk_operation")]),
    asked("a websocket connection by its id", &[Get("connection")]),
    asked("the places in which connections may be noted", &[Items("listened_place")]),
    asked("the connections that have asked for something", &[Items("listener")]),
    asked("an API key by its id", &[Get("api_key")]),
    asked("the workers of a work pool", &[Items("worker")]),
    asked("the cleanups that wait for a worker of a work pool, by when they were made", &[Items("cleanup_message")]),
    asked("a cleanup by its pool and id", &[Get("cleanup_message")]),
    asked("the states of a flow run, oldest first", &[Items("flow_run_state")]),
    asked("the ids of the leases that a task run holds", &[Items("held_lease")]),
    asked("the leases on slots of a tag's concurrency limit", &[Items("listed_lease"), Get("lease")]),
    asked("the inputs of a flow run, by creation", &[Get("flow_run"), Items("flow_run_input")]),
    asked("the logs of a flow run, by time", &[Items("log_chunk")]),
    asked("the newest state of a task's cache key", &[Items("cached_state"), Get("task_run"), Get("task_run_state")]),
    asked("the artifacts of a key, by creation", &[Items("keyed_artifact"), Get("artifact")]),
    asked("the automations that have to do with a resource", &[Items("related_automation"), Get("automation")]),
    asked("whether other automations are evaluated", &[Get("evaluated_automations")]),
    asked("the automations that are evaluated, when that has changed", &[Items("evaluated_automation")]),
    asked("what is known of triggers of events", &[Get("trigger_state")]),
    asked("what waits in triggers of triggers", &[Get("waiting_firings")]),
    asked("the events that a trigger holds, by time", &[Items("held_event")]),
    asked("what is known of a flow run's heartbeats", &[Get("flow_run_pulse")]),
    asked("a firing by its id", &[Get("firing")]),
    asked("a state by its id", &[Items("flow_run_state")]),
    asked(
        "a state by an id that does not tell its run",
        &[Items("flow_run_state"), Group(I::Lookup, "state_lookup"), Get("flow_run_state")],
    ),
    asked(
        "the last state of a task run by its id",
        &[
            Items("task_run_state"),
            Group(I::Lookup, "state_lookup"),
            Group(I::Related, "state_lookup"),
            Get("event"),
            Get("timed_event"),
        ],
    ),
    asked(
        "an earlier state of a task run by its id, while its event is kept",
        &[
            Items("task_run_state"),
            Group(I::Lookup, "state_lookup"),
            Group(I::Related, "state_lookup"),
            Get("event"),
            Get("timed_event"),
            Get("unique_task_run"),
        ],
    ),
    asked("the logs of a task run, by time", &[Group(I::Lookup, "task_logs_lookup"), Get("log_chunk")]),
    asked("the artifacts of a task run, by creation", &[Group(I::Lookup, "artifacts_of_task_run"), Get("artifact")]),
    asked("the artifacts of a flow run, by creation", &[Group(I::Related, "artifacts_of_flow_run"), Get("artifact")]),
    asked(
        "the event of a flow run's transition by its id",
        &[Get("flow_run_event"), Get("event"), Get("timed_event"), Get("transition_note"), Items("flow_run_state")],
    ),
    asked(
        "the events of a resource, by time",
        &[Group(I::Lookup, "resource_lookup"), Get("timed_event"), Get("event")],
    ),
    asked(
        "the events of a flow run and those that relate to it, by time",
        &[
            Items("flow_run_event"),
            Items("transition_note"),
            Get("flow_run"),
            Items("flow_run_state"),
            Group(I::Lookup, "resource_lookup"),
            Group(I::Related, "related_lookup"),
            Get("timed_event"),
            Get("event"),
        ],
    ),
    asked("the subflow runs of a flow run", &[Group(I::Related, "subflows_of"), Get("flow_run")]),
    asked(
        "the deployments of a work queue that are not ready, when it is polled",
        &[Group(I::Related, "unready_deployments"), Get("readiness"), Get("deployment")],
    ),
    asked(
        "the deployments of a work queue that are ready, when nobody has polled it for too long",
        &[Get("work_queue"), Group(I::Related, "ready_deployments"), Get("readiness"), Get("deployment")],
    ),
    asked(
        "the deployments of a flow, by name",
        &[Group(I::ByParent, "deployments_of_flow"), Get("deployment"), Get("flow")],
    ),
    asked(
        "the flow runs of a flow, by start time",
        &[Group(I::ByParent, "runs_of_flow"), Get("flow_run"), Get("flow")],
    ),
    asked(
        "the task runs of a flow run, by expected start time",
        &[Group(I::ByParent, "runs_in_flow_run"), Get("task_run")],
    ),
    asked(
        "the flow runs in states of some types, by start time",
        &[Group(I::ByState, "runs_in_state"), Get("flow_run")],
    ),
    asked(
        "the scheduled flow runs, by start time or the expected one",
        &[Group(I::ByState, "runs_in_state"), All(I::ByNextStart, C::FlowRuns), Get("flow_run")],
    ),
    asked(
        "the flow runs of a deployment, by start time",
        &[
            Group(I::ByDeployment, "runs_of_deployment"),
            Group(I::WaitingOfDeployment, "runs_of_deployment"),
            Group(I::ByState, "runs_in_state"),
            Get("flow_run"),
        ],
    ),
    asked(
        "the flow runs of a work queue, by start time",
        &[
            Get("work_queue"),
            Group(I::ByWorkQueue, "runs_of_work_queue"),
            Group(I::WaitingInQueue, "runs_of_work_queue"),
            Group(I::ByState, "runs_in_state"),
            Get("flow_run"),
        ],
    ),
    asked(
        "the scheduled flow runs of a work queue",
        &[Group(I::WaitingInQueue, "runs_of_work_queue"), Get("flow_run")],
    ),
    asked(
        "the scheduled flow runs of a deployment",
        &[Group(I::WaitingOfDeployment, "runs_of_deployment"), Get("flow_run")],
    ),
    asked(
        "the scheduled flow run of a flow that is due first",
        &[
            Group(I::ByParent, "deployments_of_flow"),
            Get("deployment"),
            Group(I::WaitingOfDeployment, "runs_of_deployment"),
            Group(I::WaitingOfDeployment, "runs_of_flow"),
            Get("flow_run"),
        ],
    ),
    asked(
        "the flow runs that hold a slot of a work queue",
        &[Group(I::Occupying, "active_runs_of_work_queue"), Group(I::Occupying, "cancelling_runs_of_work_queue")],
    ),
    asked(
        "all flow runs by start time, or the expected one",
        &[
            All(I::ByStart, C::FlowRuns),
            All(I::ByNextStart, C::FlowRuns),
            Group(I::ByState, "runs_in_state"),
            Get("flow_run"),
        ],
    ),
    asked("all flow runs by expected start time", &[All(I::ByTime, C::FlowRuns), Get("flow_run")]),
    asked(
        "all flow runs by next scheduled start time, those without one first",
        &[All(I::Lookup, C::FlowRuns), Get("flow_run"), All(I::ByNextStart, C::FlowRuns)],
    ),
    asked(
        "all flow runs by end time, those without one last",
        &[All(I::ByEnd, C::FlowRuns), All(I::Lookup, C::FlowRuns), Get("flow_run")],
    ),
    asked("all flow runs by name", &[All(I::ByName, C::FlowRuns), Get("flow_run")]),
    asked("all flow runs by id", &[All(I::Lookup, C::FlowRuns), Get("flow_run")]),
    asked("all task runs by expected start time", &[All(I::ByTime, C::TaskRuns), Get("task_run")]),
    asked(
        "all task runs by next scheduled start time, those without one first",
        &[All(I::Lookup, C::TaskRuns), Get("task_run"), All(I::ByNextStart, C::TaskRuns)],
    ),
    asked("all task runs by end time", &[All(I::ByEnd, C::TaskRuns), Get("task_run")]),
    asked("all task runs by name", &[All(I::ByName, C::TaskRuns), Get("task_run")]),
    asked("all task runs by id", &[All(I::Lookup, C::TaskRuns), Get("task_run")]),
    asked("all events by time of occurrence", &[All(I::ByTime, C::Events), Items("timed_event"), Get("event")]),
    asked("all logs by time", &[All(I::ByTime, C::Logs), Get("log_chunk")]),
    asked("all flows by name", &[All(I::ByName, C::Flows), Get("flow")]),
    asked("all flows by creation", &[All(I::Lookup, C::Flows), Get("flow")]),
    asked("all deployments by name", &[All(I::ByName, C::Deployments), Get("deployment")]),
    asked("all deployments by creation", &[All(I::Lookup, C::Deployments), Get("deployment")]),
    asked("all concurrency limits by name", &[All(I::ByName, C::ConcurrencyLimits), Get("concurrency_limit")]),
    asked("all concurrency limits of tags by name", &[All(I::ByName, C::ConcurrencyLimits), Get("concurrency_limit")]),
    asked("all variables by name", &[All(I::ByName, C::Variables), Get("variable")]),
    asked("all variables by creation", &[All(I::Lookup, C::Variables), Get("variable")]),
    asked("all work pools by name", &[All(I::ByName, C::WorkPools), Get("work_pool")]),
    asked("all work queues by name", &[All(I::ByName, C::WorkQueues), Get("work_queue")]),
    asked("all artifacts by creation", &[All(I::ByTime, C::Artifacts), Get("artifact")]),
    asked("all artifacts by key", &[All(I::ByName, C::Artifacts), Get("artifact")]),
    asked(
        "all latest artifacts by creation",
        &[All(I::ByTime, C::ArtifactCollections), Get("artifact_collection"), Get("artifact")],
    ),
    asked(
        "all latest artifacts by key",
        &[All(I::ByName, C::ArtifactCollections), Get("artifact_collection"), Get("artifact")],
    ),
    asked("all API keys by creation, for who lists them", &[All(I::Lookup, C::ApiKeys), Get("api_key")]),
    asked(
        "all operations on many flow runs by when they began",
        &[All(I::Lookup, C::BulkOperations), Get("bulk_operation")],
    ),
    asked("how far the consumer of the table's stream is behind", &[Get("stream_probe")]),
    asked("all dead letters by when they were put aside", &[All(I::Lookup, C::DeadLetters), Get("dead_letter")]),
    asked("what the server acts on by itself, by when", &[All(I::Related, C::Timers)]),
    asked(
        "the flow runs that may be late next, by next scheduled start time",
        &[Get("late_runs_cursor"), All(I::ByNextStart, C::FlowRuns), Get("flow_run")],
    ),
    asked("the deployments whose schedules are looked at next, by when", &[All(I::Related, C::Scheduling)]),
    asked("all task workers by when they were seen first", &[All(I::Lookup, C::TaskWorkers), Get("task_worker")]),
    asked("the background task runs that wait for a worker, of a task", &[Items("queued_task_run"), Get("task_run")]),
    asked("a saved search by its id", &[Get("saved_search")]),
    asked("a saved search by its name", &[Get("unique_saved_search_name"), Get("saved_search")]),
    asked("all saved searches by name", &[All(I::ByName, C::SavedSearches), Get("saved_search")]),
    asked("an automation by its id", &[Get("automation")]),
    asked("all automations by name", &[All(I::ByName, C::Automations), Get("automation")]),
    asked("observed states by type and name", &[All(I::ByName, C::ObservedStates), Get("observed_state")]),
    asked("observed states by when they were last seen", &[All(I::Lookup, C::ObservedStates), Get("observed_state")]),
    asked(
        "the first and the last state of a type and name, when one that was is deleted",
        &[Get("observed_state"), Get("flow_run_state"), Get("flow_run"), Group(I::ByName, "states_called")],
    ),
    asked("which block stores the results of runs by default", &[Get("result_storage")]),
    asked("all automations by creation", &[All(I::Lookup, C::Automations), Get("automation")]),
    asked("a block type by its id", &[Get("block_type")]),
    asked("block types by their slugs", &[Get("unique_block_type_slug"), Get("block_type")]),
    asked("all block types by name", &[All(I::ByName, C::BlockTypes), Get("block_type")]),
    asked(
        "the block types that have a schema like this, by name",
        &[
            All(I::ByName, C::BlockTypes),
            Get("block_type"),
            Group(I::ByParent, "block_schemas_of_type"),
            Get("block_schema"),
        ],
    ),
    asked("a block schema by its id", &[Get("block_schema")]),
    asked("a block schema by its checksum and version", &[Get("unique_block_schema_version"), Get("block_schema")]),
    asked("the newest block schema of a checksum", &[Items("unique_block_schema_version"), Get("block_schema")]),
    asked("all block schemas by creation", &[All(I::ByTime, C::BlockSchemas), Get("block_schema")]),
    asked("what blocks of all schemas can do", &[All(I::ByTime, C::BlockSchemas)]),
    asked(
        "the block schemas of a type, by creation",
        &[Group(I::ByParent, "block_schemas_of_type"), Get("block_schema")],
    ),
    asked("a block document by its id", &[Get("block_document")]),
    asked("block documents by their type and name", &[Get("unique_block_document_name"), Get("block_document")]),
    asked("all block documents by name", &[All(I::ByName, C::BlockDocuments), Get("block_document")]),
    asked("all block documents by the name of their type", &[All(I::ByEnd, C::BlockDocuments), Get("block_document")]),
    asked(
        "all anonymous block documents by name",
        &[All(I::ByName, C::AnonymousBlockDocuments), Get("block_document")],
    ),
    asked(
        "the block documents of a type, by name",
        &[Group(I::Related, "block_documents_of_type"), Get("block_document")],
    ),
    asked(
        "the block documents of a schema",
        &[Group(I::Lookup, "block_documents_of_schema"), Get("block_document"), Get("block_schema")],
    ),
    asked("which block types were installed last", &[Get("installed_block_types")]),
    asked("a data key by its id", &[Get("data_key")]),
    asked("which data key is in use", &[Get("current_data_key")]),
    asked("all data keys, for the commands that replace them", &[Items("data_key")]),
];

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

/// Whose logs are in a partition: a flow run's, those of a task run that is in none, or nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogsOf {
    /// Those of a flow run, and of its task runs.
    FlowRun(FlowRunId),
    /// Those of a task run that is in no flow run.
    TaskRun(TaskRunId),
    /// Those of no run.
    Nothing,
}

impl LogsOf {
    /// Says where logs are that name these runs.
    pub fn of(flow_run: Option<FlowRunId>, task_run: Option<TaskRunId>) -> Self {
        match (flow_run, task_run) {
            (Some(id), _) => Self::FlowRun(id),
            (None, Some(id)) => Self::TaskRun(id),
            (None, None) => Self::Nothing,
        }
    }

    /// Returns the partition of the logs.
    pub fn partition(self) -> String {
        format!("logs#{}", self.part())
    }
}

impl KeyPart for LogsOf {
    fn part(&self) -> Cow<'_, str> {
        match self {
            Self::FlowRun(id) => id.to_string().into(),
            Self::TaskRun(id) => format!("task#{id}").into(),
            Self::Nothing => "none".into(),
        }
    }
}

#[cfg(test)]
impl crate::schema::samples::Sample for LogsOf {
    fn sample() -> Self {
        Self::TaskRun(TaskRunId::new())
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

/// What the sort keys of events start with that stand in the order of time.
pub(crate) const TIMED_EVENTS: &str = "event#";
/// What the sort keys of a run's states start with.
pub const STATES: &str = "state#";
/// What the sort keys of a flow run's inputs start with.
pub const INPUTS: &str = "input#";
/// What the sort keys of the leases that a task run holds, or a limit lists, start with.
pub const LEASES: &str = "lease#";
/// What the sort keys of data keys start with.
pub const DATA_KEYS: &str = "key#";
/// What the sort keys of a pool's workers start with.
pub const WORKERS: &str = "worker#";
/// What the sort keys of a pool's cleanups start with.
pub const CLEANUPS: &str = "cleanup#";
/// What the sort keys of the artifacts of a key start with.
pub const KEYED_ARTIFACTS: &str = "artifact#";

/// Returns the partition of the completed states under a task's cache key.
pub fn cached_states(cache_key: &str) -> String {
    format!("task_cache#{}", cache_key.part())
}

/// Returns the partition of the artifacts of a key.
pub fn artifacts_of_key(key: &str) -> String {
    format!("artifact_key#{}", key.part())
}

/// Returns the partition of the automations that have to do with a resource, by their ids.
pub fn automations_of(resource: &str) -> String {
    format!("automations_of#{}", resource.part())
}

/// Returns the `related` partition of a task run's subflow runs, which are in no flow run if the task run is in none.
///
/// Their sort keys start with the task run's id.
pub fn subflows_of_task_run(flow_run: Option<FlowRunId>, task_run: TaskRunId) -> String {
    flow_run.map_or_else(|| subflows_of_lone_task_run(task_run), subflows_of)
}

/// Returns the `related` partition of the deployments of a work queue that are ready, or of those that are not.
pub fn deployments_of_queue(queue: WorkQueueId, are_ready: bool) -> String {
    if are_ready { ready_deployments(queue) } else { unready_deployments(queue) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_told_from_all_others() {
        for (name, key) in samples() {
            let kinds: Vec<&str> =
                ENTITIES.iter().filter(|kind| kind.value_of(&key).is_some()).map(|kind| kind.name).collect();
            assert_eq!(kinds, [name], "{key:?}");
        }
    }

    #[test]
    fn a_key_tells_its_subject() {
        for (name, key) in samples() {
            let kind = ENTITIES.iter().find(|kind| kind.name == name).unwrap();
            let value = kind.value_of(&key).unwrap();
            if let Some(subject) = Subject::of(&key) {
                let shown = format!("{subject:?}");
                assert!(shown.contains(value) || !shown.contains('('), "{subject:?} is not of {value}");
            }
            let is_told_of = !key.pk.starts_with("unique#");
            assert_eq!(Subject::of(&key.tombstone()), Some(Subject::Tombstone));
            assert!(is_told_of || Subject::of(&key).is_none(), "a claim is nobody's subject: {key:?}");
        }
        let id = FlowId::new();
        assert_eq!(Subject::of(&flow(id)), Some(Subject::Flow(id)));
        let state = state(&flow_run(FlowRunId::new()), Timestamp::now(), StateId::new());
        assert_eq!(Subject::of(&state), Some(Subject::FlowRunState));
        assert_eq!(Subject::of(&result_storage()), None);
    }

    #[test]
    fn a_state_is_in_the_partition_of_its_run() {
        let (flow_run_id, task_run_id, time, id) =
            (FlowRunId::new(), TaskRunId::new(), Timestamp::now(), StateId::new());
        assert_eq!(state(&flow_run(flow_run_id), time, id), flow_run_state(flow_run_id, time, id));
        assert_eq!(state(&task_run(task_run_id), time, id), task_run_state(task_run_id, time, id));
        assert_eq!(run_of_state(&flow_run_state(flow_run_id, time, id)), Some(flow_run(flow_run_id)));
    }

    #[test]
    fn partitions_that_are_queried_are_those_of_their_items() {
        let (time, id) = (Timestamp::now(), Uuid::new_v4());
        for of in [LogsOf::FlowRun(FlowRunId::new()), LogsOf::TaskRun(TaskRunId::new()), LogsOf::Nothing] {
            assert_eq!(log_chunk(of, time, time, id, 0).pk, of.partition());
        }
        let long = "k".repeat(5_000);
        assert_eq!(cached_state(&long, time, StateId::new()).pk, cached_states(&long));
        assert_eq!(keyed_artifact(&long, time, ArtifactId::new()).pk, artifacts_of_key(&long));
        assert_eq!(related_automation(&long, AutomationId::new()).pk, automations_of(&long));
    }

    #[test]
    fn long_texts_stay_within_a_key() {
        let long = "k".repeat(5_000);
        assert!(unique_task_run(Some(FlowRunId::new()), &long, &long).pk.len() < 2_048);
        assert!(flow_run_input(FlowRunId::new(), &long).sk.len() <= 1_024);
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
    fn access_patterns_name_what_there_is() {
        for pattern in ACCESS_PATTERNS {
            for step in pattern.way {
                match step {
                    Step::Get(name) | Step::Items(name) => {
                        assert!(ENTITIES.iter().any(|kind| kind.name == *name), "{name}");
                    }
                    Step::Group(_, name) => assert!(GROUPS.iter().any(|kind| kind.name == *name), "{name}"),
                    Step::All(..) => {}
                }
            }
        }
    }
}
