//! States: what a flow run or task run is doing at a point in time.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{FlowRunId, LeaseId, TaskRunId, Timestamp, id::typed_id, is_usual_name};

typed_id! {
    /// The id of a state of a flow run or task run.
    StateId
}

/// The type of a state, which the orchestration rules go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StateType {
    /// The run is to start at a scheduled time.
    Scheduled,
    /// The run has been submitted and waits for its infrastructure or its turn.
    Pending,
    /// The run's code is executing.
    Running,
    /// The run finished well.
    Completed,
    /// The run's code failed.
    Failed,
    /// The run was stopped by a user.
    Cancelled,
    /// The run's infrastructure failed.
    Crashed,
    /// The run waits to be resumed.
    Paused,
    /// The run is being stopped.
    Cancelling,
}

impl StateType {
    /// Every state type, in the order of the contract.
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::Pending,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Crashed,
        Self::Paused,
        Self::Cancelling,
    ];

    /// Returns whether a run in such a state has ended: completed, failed, cancelled or crashed.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Crashed)
    }

    /// Returns the type as the API writes it, such as `RUNNING`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Crashed => "CRASHED",
            Self::Paused => "PAUSED",
            Self::Cancelling => "CANCELLING",
        }
    }

    /// Returns the name of a state of this type that was given none, such as `Running`.
    pub fn default_name(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Crashed => "Crashed",
            Self::Paused => "Paused",
            Self::Cancelling => "Cancelling",
        }
    }
}

impl fmt::Display for StateType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What else is known about a state (contract schema `StateDetails`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StateDetails {
    /// The flow run that the state belongs to.
    pub flow_run_id: Option<FlowRunId>,
    /// The task run that the state belongs to, or the parent task run of a subflow run.
    pub task_run_id: Option<TaskRunId>,
    /// The subflow run that a task run stands for.
    pub child_flow_run_id: Option<FlowRunId>,
    /// When a scheduled run is to start.
    pub scheduled_time: Option<Timestamp>,
    /// The key under which a completed task run's state is cached, or looked up.
    pub cache_key: Option<String>,
    /// When the cached state stops being used.
    pub cache_expiration: Option<Timestamp>,
    /// Whether the task run is a background task, run by a task worker.
    pub deferred: Option<bool>,
    /// Whether the client can't track the result's further use.
    pub untrackable_result: bool,
    /// When a paused run fails for not having been resumed.
    pub pause_timeout: Option<Timestamp>,
    /// Whether a paused run has exited and is to be scheduled anew when resumed.
    pub pause_reschedule: bool,
    /// What a pause is known by, so that it fires once.
    pub pause_key: Option<String>,
    /// The keys of the inputs that a paused run waits for.
    pub run_input_keyset: Option<IndexMap<String, String>>,
    /// Whether a cached state is to be passed over.
    pub refresh_cache: Option<bool>,
    /// Whether a failed task run may be retried.
    pub retriable: Option<bool>,
    /// The client's id of the transition, by which a repeated request is told.
    pub transition_id: Option<Uuid>,
    /// The id of a background task run's stored parameters.
    pub task_parameters_id: Option<Uuid>,
    /// The W3C trace context in which the state was made.
    pub traceparent: Option<String>,
    /// The lease on a slot of the deployment's concurrency limit that the run holds.
    pub deployment_concurrency_lease_id: Option<LeaseId>,
}

impl Default for StateDetails {
    fn default() -> Self {
        Self {
            flow_run_id: None,
            task_run_id: None,
            child_flow_run_id: None,
            scheduled_time: None,
            cache_key: None,
            cache_expiration: None,
            deferred: Some(false),
            untrackable_result: false,
            pause_timeout: None,
            pause_reschedule: false,
            pause_key: None,
            run_input_keyset: None,
            refresh_cache: None,
            retriable: None,
            transition_id: None,
            task_parameters_id: None,
            traceparent: None,
            deployment_concurrency_lease_id: None,
        }
    }
}

/// A state of a flow run or task run (contract schema `State`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The state's id.
    pub id: StateId,
    /// The state's type.
    pub r#type: StateType,
    /// The state's name, by default the type's.
    pub name: String,
    /// When the run entered the state.
    pub timestamp: Timestamp,
    /// What the client says about the state.
    #[serde(default)]
    pub message: Option<String>,
    /// The result, or where it is kept.
    #[serde(default)]
    pub data: Option<Value>,
    /// What else is known about the state.
    #[serde(default)]
    pub state_details: StateDetails,
}

impl State {
    /// Tells whether the state has a name that states of its type have where nobody gives them one of their own.
    pub fn has_usual_name(&self) -> bool {
        is_usual_name(self.r#type, &self.name)
    }

    /// Makes a state of the type's default name, entered at `now`; a scheduled one is scheduled for `now`.
    pub fn new(id: StateId, r#type: StateType, now: Timestamp) -> Self {
        let scheduled_time = (r#type == StateType::Scheduled).then_some(now);
        Self {
            id,
            r#type,
            name: r#type.default_name().to_owned(),
            timestamp: now,
            message: None,
            data: None,
            state_details: StateDetails { scheduled_time, ..StateDetails::default() },
        }
    }

    /// Returns the state under the name `name`.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Returns a copy of the state with the id `id`, entered at `now`.
    #[must_use]
    pub fn fresh_copy(&self, id: StateId, now: Timestamp) -> Self {
        Self { id, timestamp: now, ..self.clone() }
    }

    /// Returns whether the state ends the run.
    pub fn is_terminal(&self) -> bool {
        self.r#type.is_terminal()
    }

    /// Returns whether the state's data says where a result is persisted.
    ///
    /// Clients describe a persisted result by an object, and one that they kept to themselves by an object
    /// of the type `unpersisted`; any other data is nothing that a rule has to protect.
    pub fn has_persisted_result(&self) -> bool {
        self.data
            .as_ref()
            .and_then(Value::as_object)
            .is_some_and(|data| data.get("type").is_none_or(|kind| kind != "unpersisted"))
    }
}

/// A state as a client proposes it (contract schema `StateCreate`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateCreate {
    /// The state's type.
    pub r#type: StateType,
    /// The state's name, by default the type's.
    #[serde(default)]
    pub name: Option<String>,
    /// What the client says about the state.
    #[serde(default)]
    pub message: Option<String>,
    /// The result, or where it is kept.
    #[serde(default)]
    pub data: Option<Value>,
    /// What else is known about the state.
    #[serde(default)]
    pub state_details: StateDetails,
}

impl StateCreate {
    /// Makes the state that the client proposes, with the id `id`, entered at `now`.
    ///
    /// What the client left out is filled in as the real server does it: the type's name, and `now` as a
    /// scheduled state's scheduled time.
    pub fn into_state(self, id: StateId, now: Timestamp) -> State {
        let mut state_details = self.state_details;
        if self.r#type == StateType::Scheduled {
            state_details.scheduled_time.get_or_insert(now);
        }
        State {
            id,
            r#type: self.r#type,
            name: self.name.unwrap_or_else(|| self.r#type.default_name().to_owned()),
            timestamp: now,
            message: self.message,
            data: self.data,
            state_details,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-31T09:30:00Z".parse().unwrap()
    }

    #[test]
    fn is_written_in_the_contract_s_order() {
        let text = serde_json::to_string(&State::new(StateId::new(), StateType::Running, now())).unwrap();
        let order = ["\"id\"", "\"type\"", "\"name\"", "\"timestamp\"", "\"message\"", "\"data\"", "\"state_details\""];
        let positions: Vec<_> = order.iter().map(|key| text.find(key).unwrap()).collect();
        assert!(positions.is_sorted(), "{text}");
    }

    #[test]
    fn fills_in_what_the_client_left_out() {
        let proposed: StateCreate = serde_json::from_value(json!({"type": "SCHEDULED"})).unwrap();
        let state = proposed.into_state(StateId::new(), now());
        assert_eq!(state.name, "Scheduled");
        assert_eq!(state.state_details.scheduled_time, Some(now()));
        assert_eq!(state.state_details.deferred, Some(false));
    }

    #[test]
    fn keeps_an_explicit_null_apart_from_a_default() {
        let proposed: StateCreate =
            serde_json::from_value(json!({"type": "RUNNING", "state_details": {"deferred": null}})).unwrap();
        assert_eq!(proposed.state_details.deferred, None);
    }

    #[test]
    fn tolerates_fields_of_a_newer_version() {
        let mut document = serde_json::to_value(State::new(StateId::new(), StateType::Running, now())).unwrap();
        document["shape"] = json!("round");
        document["state_details"]["colour"] = json!("blue");
        assert!(serde_json::from_value::<State>(document).is_ok());
    }

    #[test]
    fn tells_a_persisted_result() {
        let with = |data: Value| State { data: Some(data), ..State::new(StateId::new(), StateType::Completed, now()) };
        assert!(with(json!({"type": "reference"})).has_persisted_result());
        assert!(with(json!({})).has_persisted_result());
        assert!(!with(json!({"type": "unpersisted"})).has_persisted_result());
        assert!(!with(json!([1])).has_persisted_result());
    }
}
