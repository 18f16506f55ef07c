//! Transitions: everything that a decision is made of.

use crate::model::{
    FlowRun, FlowRunId, Seconds, State, StateDetails, StateId, StateType, TaskRun, TaskRunId, Timestamp,
};

use super::{Client, Facts};

/// A state proposed for a run, and all that the rules may look at to decide on it.
#[derive(Clone, Debug)]
pub struct Transition<R> {
    /// The run as it was read; its state is the initial state.
    pub run: R,
    /// The proposed state.
    ///
    /// The caller gives it its id, once for each request, and keeps it when it decides again after a
    /// conflict: every other id that the plan needs derives from it. Its timestamp is `now`.
    pub proposed: State,
    /// What was found of what [`super::Policy::needs`] asked for.
    pub facts: Facts,
    /// The client that proposes the state.
    pub client: Client,
    /// The settings that rules go by.
    pub settings: Settings,
    /// The time of the decision, read after the run, so that a run's history is in order.
    pub now: Timestamp,
}

impl<R: Run> Transition<R> {
    /// Makes a transition without facts, of an unknown client, under the default settings.
    ///
    /// The time of the decision is the proposed state's timestamp.
    pub fn new(run: R, proposed: State) -> Self {
        let now = proposed.timestamp;
        Self { run, proposed, facts: Facts::default(), client: Client::default(), settings: Settings::default(), now }
    }

    /// Returns the state that the run is in.
    pub fn initial(&self) -> Option<&State> {
        self.run.state()
    }

    /// Returns the type of the state that the run is in.
    pub fn initial_type(&self) -> Option<StateType> {
        self.initial().map(|state| state.r#type)
    }
}

/// The server's settings that rules go by; the defaults are Prefect's.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `PREFECT_SERVER_TASKS_TAG_CONCURRENCY_SLOT_WAIT_SECONDS`: how long to wait for a slot of a tag.
    pub tag_concurrency_slot_wait_seconds: f64,
    /// `PREFECT_SERVER_TASKS_MAX_CACHE_KEY_LENGTH`, in characters.
    pub max_cache_key_length: usize,
    /// `PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS`: how long to wait for a deployment's slot.
    pub deployment_concurrency_slot_wait_seconds: f64,
    /// `PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION`, in seconds.
    pub initial_deployment_lease_seconds: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tag_concurrency_slot_wait_seconds: 10.0,
            max_cache_key_length: 2000,
            deployment_concurrency_slot_wait_seconds: 30.0,
            initial_deployment_lease_seconds: 300.0,
        }
    }
}

/// The fields of a run that the bookkeeping writes, which flow runs and task runs have in common.
pub struct Books<'a> {
    /// The current state.
    pub state: &'a mut Option<State>,
    /// The current state's id.
    pub state_id: &'a mut Option<StateId>,
    /// The current state's type.
    pub state_type: &'a mut Option<StateType>,
    /// The current state's name.
    pub state_name: &'a mut Option<String>,
    /// How many times the run was started.
    pub run_count: &'a mut i64,
    /// When the run was expected to start, first.
    pub expected_start_time: &'a mut Option<Timestamp>,
    /// When the run is scheduled to start next.
    pub next_scheduled_start_time: &'a mut Option<Timestamp>,
    /// When the run first started.
    pub start_time: &'a mut Option<Timestamp>,
    /// When the run ended.
    pub end_time: &'a mut Option<Timestamp>,
    /// How long the run was running, without the current execution.
    pub total_run_time: &'a mut Seconds,
    /// When the run was last changed.
    pub updated: &'a mut Timestamp,
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::model::FlowRun {}
    impl Sealed for crate::model::TaskRun {}
}

/// A run of either kind, as far as the kernel treats both alike.
pub trait Run: sealed::Sealed + Clone + PartialEq + 'static {
    /// Returns the state that the run is in.
    fn state(&self) -> Option<&State>;

    /// Returns how many times the run was started.
    fn run_count(&self) -> i64;

    /// Returns the fields that the bookkeeping writes.
    fn books(&mut self) -> Books<'_>;

    /// Writes into a state's details which run it belongs to (Prefect's `UpdateStateDetails`, and
    /// `UpdateSubflowStateDetails` for a subflow run).
    fn sign(&self, details: &mut StateDetails);

    /// Counts an execution, and forgets a pause that is over, when the run enters a state of the type.
    fn count(&mut self, entered: StateType, client: &Client);

    /// Returns the task run that has to follow this run's state: the parent's, for a subflow run.
    fn parent_task_run_id(&self) -> Option<TaskRunId>;

    /// Returns the flow run and the task run that an artifact of this run belongs to.
    fn owners(&self) -> (Option<FlowRunId>, Option<TaskRunId>);
}

macro_rules! books {
    ($run:ident) => {
        Books {
            state: &mut $run.state,
            state_id: &mut $run.state_id,
            state_type: &mut $run.state_type,
            state_name: &mut $run.state_name,
            run_count: &mut $run.run_count,
            expected_start_time: &mut $run.expected_start_time,
            next_scheduled_start_time: &mut $run.next_scheduled_start_time,
            start_time: &mut $run.start_time,
            end_time: &mut $run.end_time,
            total_run_time: &mut $run.total_run_time,
            updated: &mut $run.updated,
        }
    };
}

impl Run for FlowRun {
    fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    fn run_count(&self) -> i64 {
        self.run_count
    }

    fn books(&mut self) -> Books<'_> {
        books!(self)
    }

    fn sign(&self, details: &mut StateDetails) {
        details.flow_run_id = Some(self.id);
        if self.parent_task_run_id.is_some() {
            details.task_run_id = self.parent_task_run_id;
        }
    }

    /// Follows Prefect's `IncrementFlowRunCount` and then its `RemoveResumingIndicator`: resuming from a
    /// pause is not another execution.
    fn count(&mut self, entered: StateType, client: &Client) {
        let is_resuming = client.knows_pauses() && self.empirical_policy.resuming == Some(true);
        if entered == StateType::Running && !is_resuming {
            self.run_count += 1;
        }
        if is_resuming && (entered == StateType::Running || entered.is_terminal()) {
            self.empirical_policy.resuming = Some(false);
        }
    }

    fn parent_task_run_id(&self) -> Option<TaskRunId> {
        self.parent_task_run_id
    }

    fn owners(&self) -> (Option<FlowRunId>, Option<TaskRunId>) {
        (Some(self.id), None)
    }
}

impl Run for TaskRun {
    fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    fn run_count(&self) -> i64 {
        self.run_count
    }

    fn books(&mut self) -> Books<'_> {
        books!(self)
    }

    fn sign(&self, details: &mut StateDetails) {
        details.flow_run_id = self.flow_run_id;
        details.task_run_id = Some(self.id);
    }

    /// Follows Prefect's `IncrementTaskRunCount`.
    fn count(&mut self, entered: StateType, _client: &Client) {
        if entered == StateType::Running {
            self.run_count += 1;
        }
    }

    fn parent_task_run_id(&self) -> Option<TaskRunId> {
        None
    }

    fn owners(&self) -> (Option<FlowRunId>, Option<TaskRunId>) {
        (self.flow_run_id, Some(self.id))
    }
}
