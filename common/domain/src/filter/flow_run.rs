//! The filter of flow runs.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    membership::{AnyOf, AnyOrNotAny, AnyOrNull},
    name::NameFilter,
    operator::Operator,
    state::FlowRunStateFilter,
    tags::AnyTagsFilter,
    time::{NullableTimeFilter, TimeBounds, TimeFilter},
};
use crate::model::{CreatedBy, DeploymentId, FlowRun, FlowRunId, StateType, TaskRunId, Timestamp};

/// A filter object on the flow run that a subflow run belongs to (contract schema `FlowRunFilterParentFlowRunId`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParentFlowRunFilter {
    /// How the clauses combine, of which there is one.
    pub operator: Operator,
    /// The parents whose subflow runs to include.
    #[serde(rename = "any_")]
    pub any: Option<Vec<FlowRunId>>,
}

/// A filter object on a flow run's creator (contract schema `FlowRunFilterCreatedBy`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CreatedByFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// The creators' ids to include.
    #[serde(rename = "id_")]
    pub id: Option<Vec<Uuid>>,
    /// The creators' kinds to include, such as `DEPLOYMENT`.
    #[serde(rename = "type_")]
    pub r#type: Option<Vec<String>>,
    /// Whether there must be no creator (`true`) or one (`false`).
    #[serde(rename = "is_null_")]
    pub is_null: Option<bool>,
}

impl CreatedByFilter {
    fn matches(&self, creator: Option<&CreatedBy>) -> bool {
        let (id, r#type) = (creator.and_then(|by| by.id), creator.and_then(|by| by.r#type.as_ref()));
        self.operator.combine([
            self.id.as_ref().map(|list| id.is_some_and(|id| list.contains(&id))),
            self.r#type.as_ref().map(|list| r#type.is_some_and(|kind| list.contains(kind))),
            self.is_null.map(|null| null == creator.is_none()),
        ])
    }
}

/// Filters flow runs (contract schema `FlowRunFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowRunFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the flow run's id.
    pub id: Option<AnyOrNotAny<FlowRunId>>,
    /// On the flow run's name.
    pub name: Option<NameFilter>,
    /// On the flow run's tags.
    pub tags: Option<AnyTagsFilter>,
    /// On the deployment that the run comes from.
    pub deployment_id: Option<AnyOrNull<DeploymentId>>,
    /// On the work queue that the run waits in.
    pub work_queue_name: Option<AnyOrNull<String>>,
    /// On the run's state.
    pub state: Option<FlowRunStateFilter>,
    /// On the flow's version.
    pub flow_version: Option<AnyOf<String>>,
    /// On the start time; its limits take the expected start time where the run hasn't started, its null test doesn't.
    pub start_time: Option<NullableTimeFilter>,
    /// On the end time.
    pub end_time: Option<NullableTimeFilter>,
    /// On the expected start time.
    pub expected_start_time: Option<TimeFilter>,
    /// On the time of the next scheduled start.
    pub next_scheduled_start_time: Option<TimeFilter>,
    /// On the flow run that the run is a subflow run of.
    pub parent_flow_run_id: Option<ParentFlowRunFilter>,
    /// On the task run that stands for the subflow run in its parent.
    pub parent_task_run_id: Option<AnyOrNull<TaskRunId>>,
    /// On the idempotency key.
    pub idempotency_key: Option<AnyOrNotAny<String>>,
    /// On the run's creator.
    pub created_by: Option<CreatedByFilter>,
}

/// What [`FlowRunFilter::matches`] has to know beyond the flow run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowRunFacts {
    /// The flow run that the parent task run belongs to; looked at only if [`FlowRunFilter::needs_parent_flow_run`].
    pub parent_flow_run_id: Option<FlowRunId>,
}

impl FlowRunFilter {
    /// Tells whether the filter selects `run`.
    pub fn matches(&self, run: &FlowRun, facts: FlowRunFacts) -> bool {
        let parent = facts.parent_flow_run_id;
        self.operator.combine([
            self.id.as_ref().map(|filter| filter.matches(Some(&run.id))),
            self.name.as_ref().map(|filter| filter.matches(&run.name)),
            self.tags.as_ref().map(|filter| filter.matches(&run.tags)),
            self.deployment_id.as_ref().map(|filter| filter.matches(run.deployment_id.as_ref())),
            self.work_queue_name.as_ref().map(|filter| filter.matches(run.work_queue_name.as_deref())),
            self.state.as_ref().map(|filter| filter.matches(run.state_type, run.state_name.as_deref())),
            self.flow_version.as_ref().map(|filter| filter.matches(run.flow_version.as_deref())),
            self.start_time.as_ref().map(|filter| filter.matches_compared(run.start_time, started_or_expected(run))),
            self.end_time.as_ref().map(|filter| filter.matches(run.end_time)),
            self.expected_start_time.as_ref().map(|filter| filter.matches(run.expected_start_time)),
            self.next_scheduled_start_time.as_ref().map(|filter| filter.matches(run.next_scheduled_start_time)),
            self.parent_flow_run_id.as_ref().map(|filter| {
                filter.any.as_ref().is_none_or(|parents| parent.is_some_and(|parent| parents.contains(&parent)))
            }),
            self.parent_task_run_id.as_ref().map(|filter| filter.matches(run.parent_task_run_id.as_ref())),
            self.idempotency_key.as_ref().map(|filter| filter.matches(run.idempotency_key.as_deref())),
            self.created_by.as_ref().map(|filter| filter.matches(run.created_by.as_ref())),
        ])
    }

    /// Tells whether [`FlowRunFacts::parent_flow_run_id`] matters.
    pub fn needs_parent_flow_run(&self) -> bool {
        self.parent_flow_run_id.as_ref().is_some_and(|filter| filter.any.is_some())
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[FlowRunId]> {
        self.bound(self.id.as_ref()?.any.as_deref())
    }

    /// Returns the names of which every match has one.
    pub fn names(&self) -> Option<&[String]> {
        self.bound(self.name.as_ref()?.any.as_deref())
    }

    /// Returns the deployments of which every match has one.
    pub fn deployment_ids(&self) -> Option<&[DeploymentId]> {
        self.bound(self.deployment_id.as_ref()?.bound())
    }

    /// Returns the names of work queues of which every match has one.
    pub fn work_queue_names(&self) -> Option<&[String]> {
        self.bound(self.work_queue_name.as_ref()?.bound())
    }

    /// Returns the state types of which every match has one.
    pub fn state_types(&self) -> Option<&[StateType]> {
        self.bound(self.state.as_ref()?.types())
    }

    /// Returns the state names of which every match has one.
    pub fn state_names(&self) -> Option<&[String]> {
        self.bound(self.state.as_ref()?.names())
    }

    /// Returns the tags of which every match has all.
    pub fn all_tags(&self) -> Option<&[String]> {
        self.bound(self.tags.as_ref()?.all_bound())
    }

    /// Returns the term that every match's name contains, whatever the case.
    pub fn term_of_names(&self) -> Option<&str> {
        self.bound(self.name.as_ref()?.like.as_deref().filter(|term| !term.is_empty()))
    }

    /// Tells whether the filter is nothing but a term that the name must contain.
    pub fn is_one_term_of_names(&self) -> bool {
        let rest = Self { operator: Operator::default(), name: None, ..self.clone() };
        rest == Self::default() && self.name.as_ref().is_some_and(|name| name.any.is_none() && name.like.is_some())
    }

    /// Returns the filter without what its hints tell whole of names, tags and times, if that must hold with the rest.
    #[must_use]
    pub fn without_hints(&self) -> Self {
        self.but(|rest| {
            rest.name.take_if(|filter| filter.any.is_none());
            rest.tags.take_if(|filter| filter.is_one_list());
        })
        .without_start_time()
        .without_expected_start_time()
    }

    /// Tells whether the filter is nothing but a list of state types, or of state names.
    pub fn is_one_list_of_states(&self) -> bool {
        let rest = Self { operator: Operator::default(), state: None, ..self.clone() };
        rest == Self::default() && self.state.as_ref().is_some_and(FlowRunStateFilter::is_one_list)
    }

    /// Returns the filter without its limits on the expected start time, if they must hold with all the rest.
    #[must_use]
    pub fn without_expected_start_time(&self) -> Self {
        self.but(|rest| rest.expected_start_time = None)
    }

    /// Returns the filter without its limits on the start time, if it asks nothing else of it, and they must hold with all the rest.
    #[must_use]
    pub fn without_start_time(&self) -> Self {
        self.but(|rest| {
            rest.start_time.take_if(|filter| filter.is_null.is_none());
        })
    }

    /// Returns the filter without its list of deployments, if that must hold with all the rest.
    #[must_use]
    pub fn without_deployment_ids(&self) -> Self {
        self.but(|rest| {
            rest.deployment_id.take_if(|filter| filter.bound().is_some());
        })
    }

    /// Returns the filter without its list of state types, if it asks nothing else of the state, and that must hold with all the rest.
    #[must_use]
    pub fn without_state_types(&self) -> Self {
        self.but(|rest| {
            rest.state.take_if(|filter| filter.is_one_list() && filter.types().is_some());
        })
    }

    fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut rest = self.clone();
        if self.operator == Operator::And {
            change(&mut rest);
        }
        rest
    }

    /// Tells whether the filter asks nothing, so that it selects every run.
    pub fn asks_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the parent flow runs of which every match has one.
    pub fn parent_flow_run_ids(&self) -> Option<&[FlowRunId]> {
        self.bound(self.parent_flow_run_id.as_ref()?.any.as_deref())
    }

    /// Returns the parent task runs of which every match has one.
    pub fn parent_task_run_ids(&self) -> Option<&[TaskRunId]> {
        self.bound(self.parent_task_run_id.as_ref()?.bound())
    }

    /// Returns the idempotency keys of which every match has one.
    pub fn idempotency_keys(&self) -> Option<&[String]> {
        self.bound(self.idempotency_key.as_ref()?.any.as_deref())
    }

    /// Returns the limits that every match's [`started_or_expected`] keeps.
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

    /// Returns the limits that every match's next scheduled start time keeps.
    pub fn next_scheduled_start_time_bounds(&self) -> Option<TimeBounds> {
        self.bound(self.next_scheduled_start_time.as_ref()?.bounds())
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        let present = [
            self.id.is_some(),
            self.name.is_some(),
            self.tags.is_some(),
            self.deployment_id.is_some(),
            self.work_queue_name.is_some(),
            self.state.is_some(),
            self.flow_version.is_some(),
            self.start_time.is_some(),
            self.end_time.is_some(),
            self.expected_start_time.is_some(),
            self.next_scheduled_start_time.is_some(),
            self.parent_flow_run_id.is_some(),
            self.parent_task_run_id.is_some(),
            self.idempotency_key.is_some(),
            self.created_by.is_some(),
        ];
        self.operator.bound(&present, bound)
    }
}

/// Returns when the run started, or is expected to where it hasn't.
///
/// Both the filter's limits on `start_time` and the sorts by start time go by it.
pub fn started_or_expected(run: &FlowRun) -> Option<Timestamp> {
    run.start_time.or(run.expected_start_time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::FlowId;

    fn parse(filter: serde_json::Value) -> FlowRunFilter {
        serde_json::from_value(filter).unwrap()
    }

    fn run() -> FlowRun {
        FlowRun::new(FlowRunId::new(), FlowId::new(), "brave-otter", Timestamp::now())
    }

    #[test]
    fn limits_of_the_start_time_fall_back_to_the_expected_one() {
        let expected = "2026-01-31T09:30:00Z";
        let mut run = run();
        run.expected_start_time = Some(expected.parse().unwrap());
        let table = [
            (json!({"start_time": {"before_": expected, "after_": expected}}), true),
            (json!({"start_time": {"before_": expected, "is_null_": true}}), true),
            (json!({"start_time": {"before_": expected, "is_null_": false}}), false),
            (json!({"end_time": {"before_": expected}}), false),
        ];
        for (filter, holds) in table {
            assert_eq!(parse(filter.clone()).matches(&run, FlowRunFacts::default()), holds, "{filter}");
        }
    }

    #[test]
    fn looks_for_the_parent_through_the_fact() {
        let parent = FlowRunId::new();
        let filter = parse(json!({"parent_flow_run_id": {"any_": [parent]}}));
        assert!(filter.needs_parent_flow_run());
        assert!(filter.matches(&run(), FlowRunFacts { parent_flow_run_id: Some(parent) }));
        assert!(!filter.matches(&run(), FlowRunFacts::default()));
        assert!(!parse(json!({"parent_flow_run_id": {}})).needs_parent_flow_run());
    }

    #[test]
    fn follows_the_truth_table_of_creators() {
        let id = Uuid::from_u128(1);
        let by =
            |id, kind: Option<&str>| Some(CreatedBy { id, r#type: kind.map(ToOwned::to_owned), display_value: None });
        let runs = [by(Some(id), Some("DEPLOYMENT")), by(None, None), None].map(|created_by| {
            let mut run = run();
            run.created_by = created_by;
            run
        });
        let table = [
            (json!({}), [true, true, true]),
            (json!({"id_": [id]}), [true, false, false]),
            (json!({"type_": ["DEPLOYMENT"]}), [true, false, false]),
            (json!({"type_": ["deployment"]}), [false, false, false]),
            (json!({"is_null_": true}), [false, false, true]),
            (json!({"is_null_": false}), [true, true, false]),
            (json!({"id_": [id], "is_null_": true, "operator": "or_"}), [true, false, true]),
        ];
        for (filter, expected) in table {
            let parsed = parse(json!({"created_by": filter}));
            assert_eq!(runs.each_ref().map(|run| parsed.matches(run, FlowRunFacts::default())), expected, "{filter}");
        }
    }

    #[test]
    fn bounds_respect_both_operators() {
        let id = DeploymentId::new();
        let bounded = json!({"deployment_id": {"any_": [id]}, "name": {"like_": "x"}});
        assert_eq!(parse(bounded).deployment_ids(), Some([id].as_slice()));
        let outer = json!({"deployment_id": {"any_": [id]}, "name": {"like_": "x"}, "operator": "or_"});
        assert_eq!(parse(outer).deployment_ids(), None);
        let inner = json!({"deployment_id": {"any_": [id], "is_null_": true, "operator": "or_"}});
        assert_eq!(parse(inner).deployment_ids(), None);
    }
}
