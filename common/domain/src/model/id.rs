//! Typed ids: a flow's id can't be passed where a flow run's is wanted.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Makes a time-ordered id (UUID version 7).
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

typed_ids! {
    /// The id of a flow.
    FlowId,
    /// The id of a flow run.
    FlowRunId,
    /// The id of a task run.
    TaskRunId,
    /// The id of a state of a flow run or task run.
    StateId,
    /// The id of a deployment.
    DeploymentId,
    /// The id of a work pool.
    WorkPoolId,
    /// The id of a work queue.
    WorkQueueId,
    /// The id of a worker.
    WorkerId,
    /// The id of an event.
    EventId,
    /// The id of a log line.
    LogId,
    /// The id of a key-value input of a flow run.
    FlowRunInputId,
    /// The id of an operation on many flow runs.
    BulkOperationId,
    /// The id of a block document.
    BlockDocumentId,
    /// The id of a concurrency limit, of a tag, of a deployment or global.
    ConcurrencyLimitId,
    /// The id of a lease on slots of concurrency limits.
    LeaseId,
    /// The id of an artifact.
    ArtifactId,
    /// The id of an automation.
    AutomationId,
    /// The id of the collection of the artifacts of one key.
    ArtifactCollectionId,
    /// The id of an API key.
    ApiKeyId,
    /// The id of a variable.
    VariableId,
}
