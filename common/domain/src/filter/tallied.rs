//! Which filters on flow runs tallies can answer, and what they select of them.

use super::{FlowRunFilter, Operator, flow_run::ParentFlowRunFilter};
use crate::tallies::{Cell, Leaf};

impl FlowRunFilter {
    /// Says whether the filter asks for nothing but what tallies tell: deployments, states, whether runs have started or have a
    /// parent, and a window of the expected start time.
    pub fn is_tallied(&self) -> bool {
        let is_started_alone = self.start_time.as_ref().is_none_or(|filter| filter.bounds().is_none());
        let is_parent_alone = self.parent_task_run_id.as_ref().is_none_or(|filter| filter.any.is_none());
        // A clause that says nothing holds for every run, where all of them have to.
        let rest = Self {
            operator: self.operator,
            id: said(self.id.as_ref()),
            name: said(self.name.as_ref()),
            tags: said(self.tags.as_ref()),
            deployment_id: None,
            work_queue_name: said(self.work_queue_name.as_ref()),
            state: None,
            flow_version: said(self.flow_version.as_ref()),
            start_time: self.start_time.clone().filter(|_| !is_started_alone),
            end_time: said(self.end_time.as_ref()),
            expected_start_time: None,
            next_scheduled_start_time: said(self.next_scheduled_start_time.as_ref()),
            parent_flow_run_id: self
                .parent_flow_run_id
                .clone()
                .filter(|filter| *filter != ParentFlowRunFilter::default()),
            parent_task_run_id: self.parent_task_run_id.clone().filter(|_| !is_parent_alone),
            idempotency_key: said(self.idempotency_key.as_ref()),
            created_by: said(self.created_by.as_ref()),
        };
        self.operator == Operator::And && rest == Self::default()
    }

    /// Says whether the filter asks for deployments.
    pub fn asks_for_deployments(&self) -> bool {
        self.deployment_id.as_ref().is_some_and(|filter| filter.any.is_some() || filter.is_null.is_some())
    }

    /// Says whether the filter, which is [tallied](Self::is_tallied), selects runs of `leaf`.
    pub fn matches_leaf(&self, leaf: &Leaf) -> bool {
        self.deployment_id.as_ref().is_none_or(|filter| filter.matches(leaf.deployment.as_ref()))
    }

    /// Says whether the filter, which is [tallied](Self::is_tallied), selects the runs of `cell`, whatever their time and leaf.
    pub fn matches_cell(&self, cell: &Cell) -> bool {
        let Cell { state_type, state_name, is_subflow, has_started, .. } = cell;
        let is_null = |asked: Option<bool>, is_there: bool| asked.is_none_or(|null| null != is_there);
        self.state.as_ref().is_none_or(|filter| filter.matches(*state_type, state_name.as_deref()))
            && is_null(self.start_time.as_ref().and_then(|filter| filter.is_null), *has_started)
            && is_null(self.parent_task_run_id.as_ref().and_then(|filter| filter.is_null), *is_subflow)
    }
}

/// Returns a clause if it says something.
fn said<T: Clone + Default + PartialEq>(clause: Option<&T>) -> Option<T> {
    clause.filter(|clause| **clause != T::default()).cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{DeploymentId, StateType};

    #[test]
    fn tells_what_tallies_answer() {
        let id = DeploymentId::new();
        let table = [
            (json!({}), true),
            (json!({"operator": "or_"}), false),
            (json!({"name": {}, "tags": {}, "id": {}, "created_by": {}, "end_time": {}}), true),
            (json!({"state": {"type": {"not_any_": ["FAILED"]}, "name": {"any_": ["Late"]}, "operator": "or_"}}), true),
            (json!({"deployment_id": {"any_": [id], "is_null_": true, "operator": "or_"}}), true),
            (json!({"expected_start_time": {"after_": "2026-01-01T00:00:00Z"}}), true),
            (json!({"start_time": {"is_null_": false}, "parent_task_run_id": {"is_null_": true}}), true),
            (json!({"start_time": {"after_": "2026-01-01T00:00:00Z"}}), false),
            (json!({"parent_task_run_id": {"any_": []}}), false),
            (json!({"name": {"any_": []}}), false),
            (json!({"tags": {"all_": ["a"]}}), false),
            (json!({"end_time": {"is_null_": true}}), false),
            (json!({"parent_flow_run_id": {"any_": []}}), false),
            (json!({"work_queue_name": {"any_": ["a"]}}), false),
        ];
        for (filter, is_tallied) in table {
            let parsed: FlowRunFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.is_tallied(), is_tallied, "{filter}");
        }
    }

    #[test]
    fn selects_cells_by_their_states_start_and_parent() {
        let cell = Cell {
            state_type: Some(StateType::Scheduled),
            state_name: Some("Late".into()),
            is_subflow: false,
            has_started: false,
            is_expected: true,
        };
        let table = [
            (json!({}), true),
            (json!({"state": {"name": {"any_": ["Late"]}}, "start_time": {"is_null_": true}}), true),
            (json!({"state": {"type": {"not_any_": ["SCHEDULED"]}}}), false),
            (json!({"start_time": {"is_null_": false}}), false),
            (json!({"parent_task_run_id": {"is_null_": true}}), true),
            (json!({"parent_task_run_id": {"is_null_": false}}), false),
        ];
        for (filter, matches) in table {
            let parsed: FlowRunFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.matches_cell(&cell), matches, "{filter}");
        }
    }
}
