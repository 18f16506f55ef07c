//! The clauses on the type and name of a run's state.

use serde::{Deserialize, Serialize};

use super::{
    membership::{AnyOf, AnyOrNotAny},
    operator::Operator,
};
use crate::model::StateType;

/// A filter object on a flow run's state (contract schema `FlowRunFilterState`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowRunStateFilter {
    /// How type and name combine.
    pub operator: Operator,
    /// On the state's type.
    pub r#type: Option<AnyOrNotAny<StateType>>,
    /// On the state's name, compared exactly.
    pub name: Option<AnyOrNotAny<String>>,
}

impl FlowRunStateFilter {
    pub(crate) fn matches(&self, r#type: Option<StateType>, name: Option<&str>) -> bool {
        self.operator.combine([
            self.r#type.as_ref().and_then(|filter| filter.clause(r#type.as_ref())),
            self.name.as_ref().and_then(|filter| filter.clause(name)),
        ])
    }

    pub(crate) fn is_one_list(&self) -> bool {
        match (&self.r#type, &self.name) {
            (Some(types), None) => types.any.is_some() && types.not_any.is_none(),
            (None, Some(names)) => names.any.is_some() && names.not_any.is_none(),
            _ => false,
        }
    }

    pub(crate) fn types(&self) -> Option<&[StateType]> {
        self.operator.bound(&self.present(), self.r#type.as_ref()?.any.as_deref())
    }

    pub(crate) fn names(&self) -> Option<&[String]> {
        self.operator.bound(&self.present(), self.name.as_ref()?.any.as_deref())
    }

    fn present(&self) -> [bool; 2] {
        [
            self.r#type.as_ref().is_some_and(AnyOrNotAny::says_something),
            self.name.as_ref().is_some_and(AnyOrNotAny::says_something),
        ]
    }
}

/// A filter object on a task run's state (contract schema `TaskRunFilterState`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskRunStateFilter {
    /// How type and name combine.
    pub operator: Operator,
    /// On the state's type.
    pub r#type: Option<AnyOf<StateType>>,
    /// On the state's name, compared exactly.
    pub name: Option<AnyOf<String>>,
}

impl TaskRunStateFilter {
    pub(crate) fn matches(&self, r#type: Option<StateType>, name: Option<&str>) -> bool {
        self.operator.combine([
            self.r#type.as_ref().and_then(|filter| filter.clause(r#type.as_ref())),
            self.name.as_ref().and_then(|filter| filter.clause(name)),
        ])
    }

    pub(crate) fn types(&self) -> Option<&[StateType]> {
        self.operator.bound(&self.present(), self.r#type.as_ref()?.any.as_deref())
    }

    pub(crate) fn names(&self) -> Option<&[String]> {
        self.operator.bound(&self.present(), self.name.as_ref()?.any.as_deref())
    }

    fn present(&self) -> [bool; 2] {
        [
            self.r#type.as_ref().is_some_and(|filter| filter.any.is_some()),
            self.name.as_ref().is_some_and(|filter| filter.any.is_some()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn follows_the_truth_table() {
        let states =
            [(Some(StateType::Running), Some("Running")), (Some(StateType::Scheduled), Some("Late")), (None, None)];
        let table = [
            (json!({}), [true, true, true]),
            (json!({"type": {}}), [true, true, true]),
            (json!({"type": {"any_": ["RUNNING"]}}), [true, false, false]),
            (json!({"type": {"not_any_": ["RUNNING"]}}), [false, true, false]),
            (json!({"type": {"any_": []}}), [false, false, false]),
            (json!({"type": {"any_": ["RUNNING"], "not_any_": ["SCHEDULED"]}}), [true, false, false]),
            (json!({"type": {"any_": ["RUNNING", "SCHEDULED"], "not_any_": ["RUNNING"]}}), [false, true, false]),
            (json!({"type": {"any_": ["RUNNING"], "not_any_": []}}), [true, false, false]),
            (json!({"name": {"any_": ["Late"]}}), [false, true, false]),
            (json!({"name": {"any_": ["late"]}}), [false, false, false]),
            (json!({"type": {"any_": ["RUNNING"]}, "name": {"any_": ["Late"]}}), [false, false, false]),
            (
                json!({"type": {"any_": ["RUNNING"]}, "name": {"any_": ["Late"]}, "operator": "or_"}),
                [true, true, false],
            ),
            (json!({"type": {"any_": ["RUNNING"]}, "name": {}, "operator": "or_"}), [true, false, false]),
        ];
        for (filter, expected) in table {
            let parsed: FlowRunStateFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(states.map(|(r#type, name)| parsed.matches(r#type, name)), expected, "{filter}");
        }
    }

    #[test]
    fn a_type_that_says_nothing_bounds_nothing() {
        let parse = |filter| serde_json::from_value::<FlowRunStateFilter>(filter).unwrap();
        assert_eq!(parse(json!({"type": {"any_": ["RUNNING"]}})).types(), Some([StateType::Running].as_slice()));
        let both = parse(json!({"type": {"any_": ["RUNNING"], "not_any_": ["FAILED"]}}));
        assert_eq!(both.types(), Some([StateType::Running].as_slice()));
        assert_eq!(parse(json!({"type": {"not_any_": ["FAILED"]}})).types(), None);
        let alternative = json!({"type": {"any_": ["RUNNING"]}, "name": {"any_": ["Late"]}, "operator": "or_"});
        assert_eq!(parse(alternative).types(), None);
    }
}
