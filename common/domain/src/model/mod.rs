//! The records of the Prefect API, one file per aggregate.
//!
//! A record has one serde form, which is both the stored document and the API's answer, in the order in
//! which the real server writes its fields. What the API computes at answering time (a run's estimates)
//! is not part of the stored document; `with_estimates` adds it. Unknown fields are skipped on reading, so
//! that a document written by a newer version stays readable.

pub mod api_key;
pub mod artifact;
pub mod automation;
pub mod bulk_operation;
pub mod concurrency_limit;
pub mod connection;
pub mod csrf_token;
pub mod deployment;
pub mod event;
pub mod flow;
pub mod flow_run;
pub mod flow_run_input;
pub mod id;
pub mod lease;
pub mod log;
pub mod name;
pub mod run_summary;
pub mod seconds;
pub mod state;
pub mod task_run;
pub mod timestamp;
pub mod variable;
pub mod work_pool;
pub mod work_queue;
pub mod worker;

pub use api_key::ApiKey;
pub use artifact::{Artifact, ArtifactCollection, LatestArtifact, ToldCollection};
pub use automation::Automation;
pub use bulk_operation::{BulkAction, BulkFailure, BulkOperation, BulkPart, BulkProgress};
pub use concurrency_limit::ConcurrencyLimit;
pub use connection::Connection;
pub use csrf_token::CsrfToken;
pub use deployment::Deployment;
pub use event::{Event, ReceivedEvent, RelatedResource, Resource};
pub use flow::Flow;
pub use flow_run::{CreatedBy, FlowRun, FlowRunPolicy, RetryType};
pub use flow_run_input::{FlowRunInput, InputKey};
pub use id::{
    ApiKeyId, ArtifactCollectionId, ArtifactId, AutomationId, BlockDocumentId, BulkOperationId, ConcurrencyLimitId,
    DeploymentId, EventId, FlowId, FlowRunId, FlowRunInputId, LeaseId, LogId, StateId, TaskRunId, VariableId,
    WorkPoolId, WorkQueueId, WorkerId,
};
pub use lease::Lease;
pub use log::{Log, LogCreate};
pub use run_summary::RunSummary;
pub use seconds::Seconds;
pub use state::{State, StateCreate, StateDetails, StateType};
pub use task_run::{RetryDelay, RunInput, TaskRun, TaskRunPolicy};
pub use timestamp::Timestamp;
pub use variable::Variable;
pub use work_pool::WorkPool;
pub use work_queue::{QueueAssignment, WorkQueue};
pub use worker::Worker;

use serde_json::{Map, Value};

/// A JSON object, in the order in which the client sent its keys: parameters, context, labels and the like.
pub type Object = Map<String, Value>;
