//! Task runs: one execution of a task, or the place of a subflow run in its parent flow run.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{FlowRunId, Object, PastStates, RunSummary, Seconds, State, StateId, StateType, Timestamp, run_id::run_id};

run_id! {
    /// The id of a task run.
    TaskRunId
}

/// How long to wait before a task run's retries, in seconds: one delay, or one for each retry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RetryDelay {
    /// A whole number of seconds before every retry.
    Whole(i64),
    /// A number of seconds before every retry.
    Fractional(f64),
    /// A whole number of seconds for each retry, the last one for all that follow.
    WholeEach(Vec<i64>),
    /// A number of seconds for each retry, the last one for all that follow.
    FractionalEach(Vec<f64>),
}

impl RetryDelay {
    /// Returns the seconds to wait after the execution number `run_count`, counted from 1.
    #[allow(clippy::cast_precision_loss, reason = "a delay of 285 million years may be off by a second")]
    pub fn seconds_after(&self, run_count: i64) -> f64 {
        fn nth<T: Copy>(delays: &[T], run_count: i64) -> Option<T> {
            let index = usize::try_from(run_count.saturating_sub(1)).unwrap_or(0);
            delays.get(index).or(delays.last()).copied()
        }
        match self {
            Self::Whole(seconds) => *seconds as f64,
            Self::Fractional(seconds) => *seconds,
            Self::WholeEach(delays) => nth(delays, run_count).unwrap_or(0) as f64,
            Self::FractionalEach(delays) => nth(delays, run_count).unwrap_or(0.0),
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Self::Whole(seconds) => *seconds == 0,
            Self::Fractional(seconds) => *seconds == 0.0,
            Self::WholeEach(delays) => delays.is_empty(),
            Self::FractionalEach(delays) => delays.is_empty(),
        }
    }
}

/// How a task run retries (contract schema `TaskRunPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, remote = "Self")]
pub struct TaskRunPolicy {
    /// The deprecated form of `retries`.
    pub max_retries: i64,
    /// The deprecated form of `retry_delay`, in seconds.
    pub retry_delay_seconds: f64,
    /// How many times a failed run is retried.
    pub retries: Option<i64>,
    /// How long to wait before a retry.
    pub retry_delay: Option<RetryDelay>,
    /// How far, relative to the delay, it is spread at random.
    pub retry_jitter_factor: Option<f64>,
}

impl Serialize for TaskRunPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for TaskRunPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut policy = Self::deserialize(deserializer)?;
        if policy.retries.unwrap_or(0) == 0 && policy.max_retries != 0 {
            policy.retries = Some(policy.max_retries);
        }
        if policy.retry_delay.as_ref().is_none_or(RetryDelay::is_zero) && policy.retry_delay_seconds != 0.0 {
            policy.retry_delay = Some(RetryDelay::Fractional(policy.retry_delay_seconds));
        }
        Ok(policy)
    }
}

/// Where an input of a task run comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "input_type", rename_all = "snake_case")]
pub enum RunInput {
    /// The result of another task run.
    TaskRun {
        /// The other task run.
        id: TaskRunId,
    },
    /// The result of a flow run.
    FlowRun {
        /// The flow run.
        id: FlowRunId,
    },
    /// A parameter of the flow run.
    Parameter {
        /// The parameter's name.
        name: String,
    },
    /// A constant.
    Constant {
        /// The name of the constant's type.
        r#type: String,
    },
}

/// A task run (contract schema `TaskRun`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRun {
    /// The task run's id.
    pub id: TaskRunId,
    /// When the task run was created.
    pub created: Timestamp,
    /// When the task run was last changed.
    pub updated: Timestamp,
    /// The task run's name.
    pub name: String,
    /// The flow run that the task run belongs to.
    #[serde(default)]
    pub flow_run_id: Option<FlowRunId>,
    /// What the task is known by.
    pub task_key: String,
    /// What tells the runs of one task in one flow run apart.
    pub dynamic_key: String,
    /// The key under which the completed state is cached.
    #[serde(default)]
    pub cache_key: Option<String>,
    /// When the cached state stops being used.
    #[serde(default)]
    pub cache_expiration: Option<Timestamp>,
    /// The task's version.
    #[serde(default)]
    pub task_version: Option<String>,
    /// How the run retries.
    #[serde(default)]
    pub empirical_policy: TaskRunPolicy,
    /// The run's tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Key-value labels; the values are strings, numbers or booleans.
    #[serde(default)]
    pub labels: Object,
    /// The id of the current state.
    #[serde(default)]
    pub state_id: Option<StateId>,
    /// The states that the run was in: never answered.
    #[serde(default, skip_serializing_if = "PastStates::is_empty")]
    pub past: PastStates,
    /// Where the inputs come from, by parameter name.
    #[serde(default)]
    pub task_inputs: IndexMap<String, Vec<RunInput>>,
    /// The type of the current state.
    #[serde(default)]
    pub state_type: Option<StateType>,
    /// The name of the current state.
    #[serde(default)]
    pub state_name: Option<String>,
    /// How many times the run was started.
    #[serde(default)]
    pub run_count: i64,
    /// The flow run's run count when this run was last started.
    #[serde(default)]
    pub flow_run_run_count: i64,
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
    /// The current state.
    #[serde(default)]
    pub state: Option<State>,
}

impl TaskRun {
    /// Makes a task run without a state, created at `now`, everything else at the contract's defaults.
    pub fn new(
        id: TaskRunId,
        task_key: impl Into<String>,
        dynamic_key: impl Into<String>,
        name: impl Into<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            created: now,
            updated: now,
            name: name.into(),
            flow_run_id: None,
            task_key: task_key.into(),
            dynamic_key: dynamic_key.into(),
            cache_key: None,
            cache_expiration: None,
            task_version: None,
            empirical_policy: TaskRunPolicy::default(),
            tags: Vec::new(),
            labels: Object::new(),
            state_id: None,
            past: PastStates::default(),
            task_inputs: IndexMap::new(),
            state_type: None,
            state_name: None,
            run_count: 0,
            flow_run_run_count: 0,
            expected_start_time: None,
            next_scheduled_start_time: None,
            start_time: None,
            end_time: None,
            total_run_time: Seconds::ZERO,
            estimated_run_time: None,
            estimated_start_time_delta: None,
            state: None,
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
        self.past = PastStates::default();
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn answers_the_contract_s_fields_in_its_order() {
        let now: Timestamp = "2026-01-31T09:30:00Z".parse().unwrap();
        let run = TaskRun::new(TaskRunId::new(), "add", "0", "add-0", now);
        let Value::Object(answer) = serde_json::to_value(run.with_estimates(now)).unwrap() else {
            panic!("a task run is an object")
        };
        let expected = "id created updated name flow_run_id task_key dynamic_key cache_key cache_expiration \
            task_version empirical_policy tags labels state_id task_inputs state_type state_name run_count \
            flow_run_run_count expected_start_time next_scheduled_start_time start_time end_time total_run_time \
            estimated_run_time estimated_start_time_delta state";
        assert_eq!(
            answer.keys().map(String::as_str).collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>()
        );
    }

    #[test]
    fn keeps_each_form_of_a_retry_delay() {
        for delay in [json!(5), json!(5.0), json!([1, 2]), json!([1.0, 2.5])] {
            let policy: TaskRunPolicy = serde_json::from_value(json!({"retry_delay": delay})).unwrap();
            assert_eq!(serde_json::to_value(&policy).unwrap()["retry_delay"], delay);
        }
    }

    #[test]
    fn takes_the_last_delay_for_the_retries_beyond_the_list() {
        let delay = RetryDelay::WholeEach(vec![1, 7]);
        assert_eq!([1, 2, 3].map(|run_count| delay.seconds_after(run_count).to_string()), ["1", "7", "7"]);
        assert_eq!(RetryDelay::WholeEach(Vec::new()).seconds_after(1).to_string(), "0");
    }

    #[test]
    fn reads_every_kind_of_input() {
        let inputs = json!([
            {"input_type": "task_run", "id": "b9f77e07-3cf7-4653-b811-79fdb8d2f369"},
            {"input_type": "flow_run", "id": "b9f77e07-3cf7-4653-b811-79fdb8d2f369"},
            {"input_type": "parameter", "name": "x"},
            {"input_type": "constant", "type": "int"},
        ]);
        let read: Vec<RunInput> = serde_json::from_value(inputs.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), inputs);
    }
}
