//! The filter of task runs.

use serde::{Deserialize, Serialize};

use super::{
    membership::AnyOf,
    name::NameFilter,
    operator::Operator,
    state::TaskRunStateFilter,
    tags::TagsFilter,
    time::{NullableTimeFilter, TimeBounds, TimeFilter},
};
use crate::model::{FlowRunId, StateType, TaskRun, TaskRunId};

/// A filter object on the subflow run that a task run stands for (contract schema `TaskRunFilterSubFlowRuns`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubflowRunsFilter {
    /// Whether the task run must stand for a subflow run (`true`) or must not (`false`).
    #[serde(rename = "exists_")]
    pub exists: Option<bool>,
}

/// A filter object on a task run's flow run (contract schema `TaskRunFilterFlowRunId`).
///
/// Present but empty, it selects the task runs that have a flow run: `is_null_` is `false` by default. When `true`,
/// it takes the place of `any_`; the operator has nothing to combine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskRunFlowRunFilter {
    /// How the clauses combine, of which there is at most one.
    pub operator: Operator,
    /// The flow runs whose task runs to include.
    #[serde(rename = "any_")]
    pub any: Option<Vec<FlowRunId>>,
    /// Whether the task run must have no flow run.
    #[serde(rename = "is_null_")]
    pub is_null: Option<bool>,
}

impl Default for TaskRunFlowRunFilter {
    fn default() -> Self {
        Self { operator: Operator::And, any: None, is_null: Some(false) }
    }
}

impl TaskRunFlowRunFilter {
    fn matches(&self, flow_run_id: Option<FlowRunId>) -> bool {
        match (self.is_null, &self.any) {
            (Some(true), _) => flow_run_id.is_none(),
            (_, Some(included)) => flow_run_id.is_some_and(|id| included.contains(&id)),
            (Some(false), None) => flow_run_id.is_some(),
            (None, None) => true,
        }
    }

    fn bound(&self) -> Option<&[FlowRunId]> {
        self.any.as_deref().filter(|_| self.is_null != Some(true))
    }
}

/// Filters task runs (contract schema `TaskRunFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskRunFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the task run's id.
    pub id: Option<AnyOf<TaskRunId>>,
    /// On the task run's name.
    pub name: Option<NameFilter>,
    /// On the task run's tags.
    pub tags: Option<TagsFilter>,
    /// On the run's state.
    pub state: Option<TaskRunStateFilter>,
    /// On the start time.
    pub start_time: Option<NullableTimeFilter>,
    /// On the end time.
    pub end_time: Option<NullableTimeFilter>,
    /// On the expected start time.
    pub expected_start_time: Option<TimeFilter>,
    /// On the subflow run that the task run stands for.
    pub subflow_runs: Option<SubflowRunsFilter>,
    /// On the flow run that the task run belongs to.
    pub flow_run_id: Option<TaskRunFlowRunFilter>,
}

/// What [`TaskRunFilter::matches`] has to know beyond the task run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskRunFacts {
    /// Whether a flow run has this task run as its parent; looked at only if [`TaskRunFilter::needs_subflow_runs`].
    pub has_subflow_run: bool,
}

impl TaskRunFilter {
    /// Tells whether the filter selects `run`.
    pub fn matches(&self, run: &TaskRun, facts: TaskRunFacts) -> bool {
        self.operator.combine([
            self.id.as_ref().map(|filter| filter.matches(Some(&run.id))),
            self.name.as_ref().map(|filter| filter.matches(&run.name)),
            self.tags.as_ref().map(|filter| filter.matches(&run.tags)),
            self.state.as_ref().map(|filter| filter.matches(run.state_type, run.state_name.as_deref())),
            self.start_time.as_ref().map(|filter| filter.matches(run.start_time)),
            self.end_time.as_ref().map(|filter| filter.matches(run.end_time)),
            self.expected_start_time.as_ref().map(|filter| filter.matches(run.expected_start_time)),
            self.subflow_runs.as_ref().map(|filter| filter.exists.is_none_or(|exists| exists == facts.has_subflow_run)),
            self.flow_run_id.as_ref().map(|filter| filter.matches(run.flow_run_id)),
        ])
    }

    /// Returns the filter with another clause on the state: that the run has ended.
    #[must_use]
    pub fn of_ended_runs(self) -> Self {
        let types = StateType::ALL.into_iter().filter(|r#type| r#type.is_terminal()).collect();
        let state = TaskRunStateFilter { r#type: Some(AnyOf { any: Some(types) }), ..TaskRunStateFilter::default() };
        Self { state: Some(state), ..self }
    }

    /// Tells whether [`TaskRunFacts::has_subflow_run`] matters.
    pub fn needs_subflow_runs(&self) -> bool {
        self.subflow_runs.as_ref().is_some_and(|filter| filter.exists.is_some())
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[TaskRunId]> {
        self.bound(self.id.as_ref()?.any.as_deref())
    }

    /// Returns the names of which every match has one.
    pub fn names(&self) -> Option<&[String]> {
        self.bound(self.name.as_ref()?.any.as_deref())
    }

    /// Returns the flow runs of which every match has one.
    pub fn flow_run_ids(&self) -> Option<&[FlowRunId]> {
        self.bound(self.flow_run_id.as_ref()?.bound())
    }

    /// Returns the state types of which every match has one.
    pub fn state_types(&self) -> Option<&[StateType]> {
        self.bound(self.state.as_ref()?.types())
    }

    /// Returns the state names of which every match has one.
    pub fn state_names(&self) -> Option<&[String]> {
        self.bound(self.state.as_ref()?.names())
    }

    /// Returns the limits that every match's start time keeps.
    pub fn start_time_bounds(&self) -> Option<TimeBounds> {
        self.bound(self.start_time.as_ref()?.bounds())
    }

    /// Returns the limits that every match's end time keeps.
    pub fn end_time_bounds(&self) -> Option<TimeBounds> {
        self.bound(self.end_time.as_ref()?.bounds())
    }

    /// Returns the limits that every match's expected start time keeps.
    pub fn expected_start_time_bounds(&self) -> Option<TimeBounds> {
        self.bound(self.expected_start_time.as_ref()?.bounds())
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        let present = [
            self.id.is_some(),
            self.name.is_some(),
            self.tags.is_some(),
            self.state.is_some(),
            self.start_time.is_some(),
            self.end_time.is_some(),
            self.expected_start_time.is_some(),
            self.subflow_runs.is_some(),
            self.flow_run_id.is_some(),
        ];
        self.operator.bound(&present, bound)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Timestamp;

    fn parse(filter: serde_json::Value) -> TaskRunFilter {
        serde_json::from_value(filter).unwrap()
    }

    fn run() -> TaskRun {
        TaskRun::new(TaskRunId::new(), "double", "0", "double-0", Timestamp::now())
    }

    #[test]
    fn follows_the_truth_table_of_flow_runs() {
        let id = FlowRunId::new();
        let runs = [Some(id), Some(FlowRunId::new()), None].map(|flow_run_id| {
            let mut run = run();
            run.flow_run_id = flow_run_id;
            run
        });
        let table = [
            (json!({}), [true, true, false]),
            (json!({"is_null_": null}), [true, true, true]),
            (json!({"is_null_": true}), [false, false, true]),
            (json!({"is_null_": true, "any_": [id]}), [false, false, true]),
            (json!({"any_": [id]}), [true, false, false]),
            (json!({"any_": [id], "is_null_": null}), [true, false, false]),
            (json!({"any_": []}), [false, false, false]),
        ];
        for (filter, expected) in table {
            let parsed = parse(json!({"flow_run_id": filter}));
            assert_eq!(runs.each_ref().map(|run| parsed.matches(run, TaskRunFacts::default())), expected, "{filter}");
        }
    }

    #[test]
    fn looks_for_a_subflow_run_through_the_fact() {
        let filter = parse(json!({"subflow_runs": {"exists_": true}}));
        assert!(filter.needs_subflow_runs() && filter.matches(&run(), TaskRunFacts { has_subflow_run: true }));
        assert!(!filter.matches(&run(), TaskRunFacts { has_subflow_run: false }));
        assert!(!parse(json!({"subflow_runs": {}})).needs_subflow_runs());
    }

    #[test]
    fn the_start_time_has_no_stand_in() {
        let expected = "2026-01-31T09:30:00Z";
        let mut run = run();
        run.expected_start_time = Some(expected.parse().unwrap());
        assert!(!parse(json!({"start_time": {"before_": expected}})).matches(&run, TaskRunFacts::default()));
    }

    #[test]
    fn a_replaced_list_bounds_nothing() {
        let id = FlowRunId::new();
        assert_eq!(parse(json!({"flow_run_id": {"any_": [id]}})).flow_run_ids(), Some([id].as_slice()));
        assert_eq!(parse(json!({"flow_run_id": {"any_": [id], "is_null_": true}})).flow_run_ids(), None);
    }
}
