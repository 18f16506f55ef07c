//! The records of the Prefect API, one file per aggregate.

pub mod id;
pub mod timestamp;

pub use id::{
    DeploymentId, EventId, FlowId, FlowRunId, FlowRunInputId, LogId, StateId, TaskRunId, WorkPoolId, WorkQueueId,
};
pub use timestamp::Timestamp;
