//! Plans: what a decision comes to.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::model::{
    Artifact, ArtifactId, ConcurrencyLimitId, FlowRunId, InputKey, LeaseId, State, StateId, TaskRunId, Timestamp,
};

/// Whether a proposed state was entered, as the contract names it (`SetStateStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// The run entered the proposed state.
    Accept,
    /// The run entered another state, or stays in its state.
    Reject,
    /// The run stays in its state, and the client is to give up.
    Abort,
    /// The run stays in its state, and the client is to try again.
    Wait,
}

/// What was decided, written as the contract's details of an orchestration result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum Verdict {
    /// The run enters the proposed state.
    #[serde(rename = "accept_details")]
    Accept,
    /// The run enters another state, or stays in its state.
    #[serde(rename = "reject_details")]
    Reject {
        /// What the client is told.
        reason: String,
    },
    /// The run stays in its state, and the client is to give up.
    #[serde(rename = "abort_details")]
    Abort {
        /// What the client is told.
        reason: String,
    },
    /// The run stays in its state, and the client is to try again.
    #[serde(rename = "wait_details")]
    Wait {
        /// After how many seconds.
        delay_seconds: i64,
        /// What the client is told.
        reason: String,
    },
}

impl Verdict {
    /// Returns the verdict without its details.
    pub fn status(&self) -> Status {
        match self {
            Self::Accept => Status::Accept,
            Self::Reject { .. } => Status::Reject,
            Self::Abort { .. } => Status::Abort,
            Self::Wait { .. } => Status::Wait,
        }
    }
}

/// Who holds a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum LeaseHolder {
    /// A flow run.
    FlowRun(FlowRunId),
    /// A task run.
    TaskRun(TaskRunId),
}

/// Something to be done together with writing the run, in the same transaction where it says so.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Take a slot of each of the limits and write a lease on them, all or none, in the run's transaction.
    ///
    /// Where a limit turns out to be full, the facts were stale: load and decide again.
    AcquireSlots {
        /// The lease's id.
        lease_id: LeaseId,
        /// The limits, a slot of each.
        limits: Vec<ConcurrencyLimitId>,
        /// How long the lease lasts, in seconds from the time of the decision.
        ttl_seconds: f64,
        /// Who holds the lease.
        holder: Option<LeaseHolder>,
    },
    /// Let the lease last from the time of the decision on, in the run's transaction.
    RenewLease {
        /// The lease's id.
        lease_id: LeaseId,
        /// How long, in seconds.
        ttl_seconds: f64,
    },
    /// Free the slots that the lease holds, and delete it, in the run's transaction.
    ReleaseLease {
        /// The lease's id.
        lease_id: LeaseId,
    },
    /// Add the task run to those that hold a slot of the tag's first-generation limit.
    OccupyTagSlot {
        /// The tag.
        tag: String,
        /// The task run.
        task_run_id: TaskRunId,
    },
    /// Remove the task run from those that hold a slot of the tag's first-generation limit.
    VacateTagSlot {
        /// The tag.
        tag: String,
        /// The task run.
        task_run_id: TaskRunId,
    },
    /// Cache the state under the key, in the run's transaction.
    CacheState {
        /// The cache key, of any length.
        cache_key: String,
        /// When the cached state stops being used.
        cache_expiration: Option<Timestamp>,
        /// The state.
        state_id: StateId,
    },
    /// Save the state's data as a result artifact.
    SaveArtifact(ResultArtifact),
    /// Force the state on the parent's task run that stands for this subflow run.
    UpdateParentTaskRun {
        /// The parent's task run.
        task_run_id: TaskRunId,
        /// The state to propose by force, under the minimal policy.
        state: Box<State>,
    },
    /// Delete what the flow run was sent under the keys: the first of them in the run's transaction.
    DeleteFlowRunInputs {
        /// The flow run.
        flow_run_id: FlowRunId,
        /// The keys, of which any may have no input.
        keys: BTreeSet<InputKey>,
    },
    /// Force every failed task run of the flow run to await its retry, and set its run count to 0.
    RetryFailedTaskRuns {
        /// The flow run.
        flow_run_id: FlowRunId,
        /// When the retry is scheduled.
        scheduled_time: Timestamp,
    },
    /// Hand the background task run to the task workers.
    EnqueueTaskRun {
        /// The task run.
        task_run_id: TaskRunId,
        /// The task's key, which is the queue's.
        task_key: String,
        /// Whether it is a retry, which goes ahead of new runs.
        is_retry: bool,
    },
}

/// A state's data, saved as an artifact (contract schema `Artifact`).
#[derive(Clone, Debug, PartialEq)]
pub struct ResultArtifact {
    /// What the artifact's id is made of, besides the time.
    pub seed: Uuid,
    /// The key under which artifacts are collected.
    pub key: Option<String>,
    /// The artifact's type.
    pub r#type: Option<String>,
    /// The artifact's description.
    pub description: Option<String>,
    /// The data.
    pub data: Value,
    /// The flow run that the artifact belongs to.
    pub flow_run_id: Option<FlowRunId>,
    /// The task run that the artifact belongs to.
    pub task_run_id: Option<TaskRunId>,
}

impl ResultArtifact {
    /// Makes the artifact, created at `now`.
    pub fn artifact(&self, now: Timestamp) -> Artifact {
        Artifact {
            key: self.key.clone(),
            r#type: self.r#type.clone(),
            description: self.description.clone(),
            data: Some(self.data.clone()),
            flow_run_id: self.flow_run_id,
            task_run_id: self.task_run_id,
            ..Artifact::new(ArtifactId::at(now, self.seed), now)
        }
    }
}

/// Which part of a rule ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// It judged the proposed state.
    Before,
    /// It followed up the transition.
    After,
    /// It undid what it had done.
    CleanUp,
}

/// A part of a rule that ran, for logs and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule's name.
    pub rule: &'static str,
    /// Which part of it ran.
    pub hook: Hook,
}

/// What a decision comes to: the answer, the run to write, and what is to be done beside.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<R> {
    /// What was decided.
    pub verdict: Verdict,
    /// The state that the client is answered: the one entered, or else the one that the run stays in.
    ///
    /// It differs from the run's state where a result is not persisted: its data is answered, not stored.
    pub state: Option<State>,
    /// The run as it is to be written.
    pub run: R,
    /// Whether the run is other than it was read; if not, and without effects, nothing is to be written.
    pub is_changed: bool,
    /// What is to be done beside.
    pub effects: Vec<Effect>,
    /// The parts of rules that ran, in order.
    pub trace: Vec<Step>,
    pub(super) entered: bool,
}

impl<R: super::Run> Plan<R> {
    /// Returns the state to add to the run's history, if the run enters one.
    ///
    /// It is the run's new state. The API answers 201 if there is one, and 200 if not.
    pub fn entered(&self) -> Option<&State> {
        self.run.state().filter(|_| self.entered)
    }

    /// Returns the answer to the client.
    pub fn result(&self) -> OrchestrationResult<'_> {
        OrchestrationResult { state: self.state.as_ref(), status: self.verdict.status(), details: &self.verdict }
    }
}

/// The answer to a client that proposed a state (contract schema `OrchestrationResult`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OrchestrationResult<'a> {
    /// The state that the run entered or stays in.
    pub state: Option<&'a State>,
    /// The verdict.
    pub status: Status,
    /// The verdict's details.
    pub details: &'a Verdict,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_answered_as_the_contract_has_it() {
        let verdict = Verdict::Wait { delay_seconds: 3, reason: "Not yet".to_owned() };
        let result = OrchestrationResult { state: None, status: verdict.status(), details: &verdict };
        assert_eq!(
            serde_json::to_value(result).unwrap(),
            json!({
                "state": null,
                "status": "WAIT",
                "details": {"type": "wait_details", "delay_seconds": 3, "reason": "Not yet"},
            })
        );
        assert_eq!(serde_json::to_value(Verdict::Accept).unwrap(), json!({"type": "accept_details"}));
    }
}
