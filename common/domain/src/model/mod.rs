//! The records of the Prefect API, one file per aggregate.
//!
//! A record has one serde form, which is both the stored document and the API's answer, in the order in
//! which the real server writes its fields. What the API computes at answering time (a run's estimates)
//! is not part of the stored document; `with_estimates` adds it. Unknown fields are skipped on reading, so
//! that a document written by a newer version stays readable.

pub mod api_key;
pub mod artifact;
pub mod automation;
pub mod block_document;
pub mod block_schema;
pub mod block_type;
pub mod bulk_operation;
pub mod cleanup_message;
pub mod concurrency_limit;
pub mod connection;
pub mod csrf_token;
pub mod data_key;
pub mod dead_letter;
pub mod deployment;
pub mod event;
pub mod flow;
pub mod flow_run;
pub mod flow_run_input;
pub mod id;
pub mod lease;
pub mod log;
pub mod name;
pub mod named;
pub mod observed_state;
pub mod past_states;
pub mod queued_task_run;
pub mod result_storage;
mod run_id;
pub mod run_summary;
pub mod saved_search;
pub mod seconds;
pub mod state;
pub mod stream_probe;
pub mod task_run;
pub mod task_worker;
pub mod timestamp;
pub mod variable;
pub mod work_pool;
pub mod work_queue;
pub mod worker;

pub use api_key::{ApiKey, ApiKeyId};
pub use artifact::{Artifact, ArtifactCollection, ArtifactCollectionId, ArtifactId, LatestArtifact, ToldCollection};
pub use automation::{Automation, AutomationId, FiringId, StoredAutomation, TriggerId};
pub use block_document::{BlockDocument, BlockDocumentId, BlockDocumentResponse};
pub use block_schema::{BlockSchema, BlockSchemaId, BlockSchemaResponse};
pub use block_type::{BlockType, BlockTypeId};
pub use bulk_operation::{BulkAction, BulkFailure, BulkOperation, BulkOperationId, BulkPart, BulkProgress};
pub use cleanup_message::{CleanupKind, CleanupMessage, CleanupMessageId, Reservation};
pub use concurrency_limit::{ConcurrencyLimit, ConcurrencyLimitId};
pub use connection::{
    Connection, EventSubscription, HandedTaskRun, LogSubscription, PoolSubscription, RELAYED, Socket, Subscription,
    TaskWorkerSubscription, connection_uuid, is_relayed,
};
pub use csrf_token::CsrfToken;
pub use data_key::{DataKey, DataKeyId};
pub use dead_letter::{DeadLetter, DeadLetterId};
pub use deployment::{Deployment, DeploymentId};
pub use event::{Event, EventId, ReceivedEvent, RelatedResource, Resource};
pub use flow::{Flow, FlowId};
pub use flow_run::{CreatedBy, FlowRun, FlowRunId, FlowRunPolicy, RetryType};
pub use flow_run_input::{FlowRunInput, FlowRunInputId, InputKey};
pub use lease::{Lease, LeaseId};
pub use log::{Log, LogCreate, LogId};
pub use named::Named;
pub(crate) use named::named;
pub use observed_state::{ObservedState, is_usual_name};
pub use past_states::PastStates;
pub use queued_task_run::{Handed, QueuedTaskRun};
pub use result_storage::ResultStorage;
pub use run_summary::RunSummary;
pub use saved_search::{SavedSearch, SavedSearchFilter, SavedSearchId};
pub use seconds::Seconds;
pub use state::{State, StateCreate, StateDetails, StateId, StateType};
pub use stream_probe::{StreamDelay, StreamLag, StreamProbe};
pub use task_run::{RetryDelay, RunInput, TaskRun, TaskRunId, TaskRunPolicy};
pub use task_worker::TaskWorker;
pub use timestamp::Timestamp;
pub use variable::{Variable, VariableId};
pub use work_pool::{WorkPool, WorkPoolId};
pub use work_queue::{QueueAssignment, WorkQueue, WorkQueueId};
pub use worker::{Worker, WorkerId};

use serde_json::{Map, Value};

/// A JSON object, in the order in which the client sent its keys: parameters, context, labels and the like.
pub type Object = Map<String, Value>;
