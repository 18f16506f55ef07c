//! Flow runs: one execution of a flow.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::{
    BlockDocumentId, DeploymentId, FlowId, LeaseId, Object, PastStates, QueueAssignment, RunSummary, Seconds, State,
    StateId, StateType, TaskRunId, Timestamp, WorkPoolId, WorkQueueId, run_id::run_id,
};

run_id! {
    /// The id of a flow run.
    FlowRunId
}

/// How a flow run that failed is being retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryType {
    /// The process that ran it runs it again.
    InProcess,
    /// It was scheduled again, for a worker to run.
    Reschedule,
}

/// How a flow run retries, and what is remembered of its pauses (contract schema `FlowRunPolicy`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, remote = "Self")]
pub struct FlowRunPolicy {
    /// The deprecated form of `retries`.
    pub max_retries: i64,
    /// The deprecated form of `retry_delay`, in seconds.
    pub retry_delay_seconds: f64,
    /// How many times a failed run is retried.
    pub retries: Option<i64>,
    /// How long to wait before a retry, in seconds.
    pub retry_delay: Option<i64>,
    /// The keys of the pauses that have fired.
    pub pause_keys: Option<BTreeSet<String>>,
    /// Whether the run is being resumed from a pause.
    pub resuming: Option<bool>,
    /// How the run is being retried.
    pub retry_type: Option<RetryType>,
}

impl Default for FlowRunPolicy {
    fn default() -> Self {
        Self {
            max_retries: 0,
            retry_delay_seconds: 0.0,
            retries: None,
            retry_delay: None,
            pause_keys: Some(BTreeSet::new()),
            resuming: Some(false),
            retry_type: None,
        }
    }
}

impl Serialize for FlowRunPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for FlowRunPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut policy = Self::deserialize(deserializer)?;
        if policy.retries.unwrap_or(0) == 0 && policy.max_retries != 0 {
            policy.retries = Some(policy.max_retries);
        }
        if policy.retry_delay.unwrap_or(0) == 0 && policy.retry_delay_seconds != 0.0 {
            #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
            let seconds = policy.retry_delay_seconds as i64;
            policy.retry_delay = Some(seconds);
        }
        Ok(policy)
    }
}

/// Who or what created a record (contract schema `CreatedBy`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreatedBy {
    /// The creator's id.
    pub id: Option<Uuid>,
    /// The creator's kind, such as `DEPLOYMENT`.
    pub r#type: Option<String>,
    /// What to show for the creator.
    pub display_value: Option<String>,
}

/// A flow run (contract schemas `FlowRun` and `FlowRunResponse`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowRun {
    /// The flow run's id.
    pub id: FlowRunId,
    /// When the flow run was created.
    pub created: Timestamp,
    /// When the flow run was last changed.
    pub updated: Timestamp,
    /// The flow run's name.
    pub name: String,
    /// The flow that is run.
    pub flow_id: FlowId,
    /// The id of the current state.
    #[serde(default)]
    pub state_id: Option<StateId>,
    /// The deployment that the run comes from.
    #[serde(default)]
    pub deployment_id: Option<DeploymentId>,
    /// The deployment's version when the run was created.
    #[serde(default)]
    pub deployment_version: Option<String>,
    /// The work queue that the run waits in.
    #[serde(default)]
    pub work_queue_id: Option<WorkQueueId>,
    /// The name of the work queue.
    #[serde(default)]
    pub work_queue_name: Option<String>,
    /// The flow's version when the run was created.
    #[serde(default)]
    pub flow_version: Option<String>,
    /// The parameters of the run.
    #[serde(default)]
    pub parameters: Object,
    /// What keeps the same run from being created twice.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// Additional context of the run.
    #[serde(default)]
    pub context: Object,
    /// How the run retries, and what is remembered of its pauses.
    #[serde(default)]
    pub empirical_policy: FlowRunPolicy,
    /// The run's tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Key-value labels; the values are strings, numbers or booleans.
    #[serde(default)]
    pub labels: Object,
    /// The task run that stands for this subflow run in its parent flow run.
    #[serde(default)]
    pub parent_task_run_id: Option<TaskRunId>,
    /// The flow run that the parent task run belongs to: stored for queries, never answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_flow_run_id: Option<FlowRunId>,
    /// The lease on a slot of its deployment's limit that the run holds, whatever its state says: never answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_lease: Option<LeaseId>,
    /// The states that the run was in: never answered.
    #[serde(default, skip_serializing_if = "PastStates::is_empty")]
    pub past: PastStates,
    /// The type of the current state.
    #[serde(default)]
    pub state_type: Option<StateType>,
    /// The name of the current state.
    #[serde(default)]
    pub state_name: Option<String>,
    /// How many times the run was started.
    #[serde(default)]
    pub run_count: i64,
    /// When the run was expected to start, first.
    #[serde(default)]
    pub expected_start_time: Option<Timestamp>,
    /// When the run is scheduled to start next, while it is scheduled.
    #[serde(default)]
    pub next_scheduled_start_time: Option<Timestamp>,
    /// When the run first started.
    #[serde(default)]
    pub start_time: Option<Timestamp>,
    /// When the run ended.
    #[serde(default)]
    pub end_time: Option<Timestamp>,
    /// How long the run was running, summed over its executions, without the current one.
    #[serde(default)]
    pub total_run_time: Seconds,
    /// How long the run was running, the current execution included; in answers only, see `with_estimates`.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub estimated_run_time: Option<Seconds>,
    /// How late the run started, or is; in answers only, see `with_estimates`.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub estimated_start_time_delta: Option<Seconds>,
    /// Whether the scheduler created the run.
    #[serde(default)]
    pub auto_scheduled: bool,
    /// The block document of the infrastructure that the run uses.
    #[serde(default)]
    pub infrastructure_document_id: Option<BlockDocumentId>,
    /// What the infrastructure knows the run by, such as a process id.
    #[serde(default)]
    pub infrastructure_pid: Option<String>,
    /// Who or what created the run.
    #[serde(default)]
    pub created_by: Option<CreatedBy>,
    /// The work pool that the run waits in.
    #[serde(default)]
    pub work_pool_id: Option<WorkPoolId>,
    /// The name of the work pool.
    #[serde(default)]
    pub work_pool_name: Option<String>,
    /// The current state.
    #[serde(default)]
    pub state: Option<State>,
    /// Overrides of the work pool's base job template.
    #[serde(default)]
    pub job_variables: Option<Object>,
}

impl FlowRun {
    /// Makes a flow run without a state, created at `now`, everything else at the contract's defaults.
    pub fn new(id: FlowRunId, flow_id: FlowId, name: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id,
            created: now,
            updated: now,
            name: name.into(),
            flow_id,
            state_id: None,
            deployment_id: None,
            deployment_version: None,
            work_queue_id: None,
            work_queue_name: None,
            flow_version: None,
            parameters: Object::new(),
            idempotency_key: None,
            context: Object::new(),
            empirical_policy: FlowRunPolicy::default(),
            tags: Vec::new(),
            labels: Object::new(),
            parent_task_run_id: None,
            parent_flow_run_id: None,
            held_lease: None,
            past: PastStates::default(),
            state_type: None,
            state_name: None,
            run_count: 0,
            expected_start_time: None,
            next_scheduled_start_time: None,
            start_time: None,
            end_time: None,
            total_run_time: Seconds::ZERO,
            estimated_run_time: None,
            estimated_start_time_delta: None,
            auto_scheduled: false,
            infrastructure_document_id: None,
            infrastructure_pid: None,
            created_by: None,
            work_pool_id: None,
            work_pool_name: None,
            state: None,
            job_variables: Some(Object::new()),
        }
    }

    /// Has the run wait in `queue`, if that is one.
    pub fn assign_queue(&mut self, queue: Option<(WorkQueueId, QueueAssignment)>) {
        if let Some((id, place)) = queue {
            self.work_queue_id = Some(id);
            self.work_queue_name = Some(place.queue_name);
            self.work_pool_id = Some(place.pool_id);
            self.work_pool_name = Some(place.pool_name);
        }
    }

    /// Returns how long the run was running until `now`, the current execution included.
    pub fn estimated_run_time(&self, now: Timestamp) -> Seconds {
        RunSummary::from(self).run_time(now)
    }

    /// Returns how late the run started, or is at `now` when it has not started.
    pub fn estimated_start_time_delta(&self, now: Timestamp) -> Seconds {
        RunSummary::from(self).lateness(now)
    }

    /// Returns the run as the API answers it at `now`: the stored document and the estimates.
    #[must_use]
    pub fn with_estimates(mut self, now: Timestamp) -> Self {
        self.estimated_run_time = Some(self.estimated_run_time(now));
        self.estimated_start_time_delta = Some(self.estimated_start_time_delta(now));
        self.parent_flow_run_id = None;
        self.held_lease = None;
        self.past = PastStates::default();
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-31T09:30:00Z".parse().unwrap()
    }

    fn run() -> FlowRun {
        FlowRun::new(FlowRunId::new(), FlowId::new(), "brave-otter", now())
    }

    #[test]
    fn answers_the_contract_s_fields_in_its_order() {
        let Value::Object(answer) = serde_json::to_value(run().with_estimates(now())).unwrap() else {
            panic!("a flow run is an object")
        };
        let expected = "id created updated name flow_id state_id deployment_id deployment_version work_queue_id \
            work_queue_name flow_version parameters idempotency_key context empirical_policy tags labels \
            parent_task_run_id state_type state_name run_count expected_start_time next_scheduled_start_time \
            start_time end_time total_run_time estimated_run_time estimated_start_time_delta auto_scheduled \
            infrastructure_document_id infrastructure_pid created_by work_pool_id work_pool_name state job_variables";
        assert_eq!(
            answer.keys().map(String::as_str).collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>()
        );
    }

    #[test]
    fn stores_no_estimates() {
        let document = serde_json::to_value(run()).unwrap();
        assert_eq!(document.get("estimated_run_time"), None);
        assert_eq!(serde_json::from_value::<FlowRun>(document).unwrap().name, "brave-otter");
    }

    #[test]
    fn reads_back_what_it_answered() {
        let run = run();
        let answer = serde_json::to_value(run.clone().with_estimates(now())).unwrap();
        assert_eq!(serde_json::from_value::<FlowRun>(answer).unwrap(), run);
    }

    #[test]
    fn estimates_the_run_time_while_running() {
        let mut run = run();
        run.total_run_time = Seconds::from_micros(1_000_000);
        run.state = Some(State::new(StateId::new(), StateType::Running, now()));
        assert_eq!(run.estimated_run_time(now().plus_seconds(0.5)), Seconds::from_micros(1_500_000));
        run.state = Some(State::new(StateId::new(), StateType::Completed, now()));
        assert_eq!(run.estimated_run_time(now().plus_seconds(0.5)), Seconds::from_micros(1_000_000));
    }

    #[test]
    fn estimates_lateness_until_the_run_starts_or_ends() {
        let mut run = run();
        run.expected_start_time = Some(now());
        let later = now().plus_seconds(2.0);
        assert_eq!(run.estimated_start_time_delta(later), Seconds::from_micros(2_000_000));
        run.state_type = Some(StateType::Cancelled);
        assert_eq!(run.estimated_start_time_delta(later), Seconds::ZERO);
        run.start_time = Some(now().plus_seconds(1.0));
        assert_eq!(run.estimated_start_time_delta(later), Seconds::from_micros(1_000_000));
    }

    #[test]
    fn takes_over_the_deprecated_retry_fields() {
        let policy: FlowRunPolicy =
            serde_json::from_value(json!({"max_retries": 2, "retry_delay_seconds": 5.0})).unwrap();
        assert_eq!((policy.retries, policy.retry_delay), (Some(2), Some(5)));
        let policy: FlowRunPolicy = serde_json::from_value(json!({"max_retries": 2, "retries": 3})).unwrap();
        assert_eq!(policy.retries, Some(3));
    }
}
