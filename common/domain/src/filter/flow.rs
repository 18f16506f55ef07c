//! The filter of flows.

use serde::{Deserialize, Serialize};

use super::{membership::AnyOrNotAny, name::NameFilter, operator::Operator, sort::NamedSort, tags::TagsFilter};
use crate::model::{Flow, FlowId};

/// A filter object on a flow's deployments (contract schema `FlowFilterDeployment`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowDeploymentFilter {
    /// How the clauses combine, of which there is one.
    pub operator: Operator,
    /// Whether the flow must have no deployment (`true`) or some (`false`).
    #[serde(rename = "is_null_")]
    pub is_null: Option<bool>,
}

/// How flows are sorted (contract schema `FlowSort`).
pub type FlowSort = NamedSort;

/// Filters flows (contract schema `FlowFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the flow's id.
    pub id: Option<AnyOrNotAny<FlowId>>,
    /// On the flow's deployments.
    pub deployment: Option<FlowDeploymentFilter>,
    /// On the flow's name.
    pub name: Option<NameFilter>,
    /// On the flow's tags.
    pub tags: Option<TagsFilter>,
}

/// What [`FlowFilter::matches`] has to know beyond the flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowFacts {
    /// Whether the flow has a deployment; looked at only if [`FlowFilter::needs_deployments`].
    pub has_deployment: bool,
}

impl FlowFilter {
    /// Tells whether the filter selects `flow`.
    pub fn matches(&self, flow: &Flow, facts: FlowFacts) -> bool {
        self.operator.combine([
            self.id.as_ref().map(|filter| filter.matches(Some(&flow.id))),
            self.deployment.as_ref().map(|filter| filter.is_null.is_none_or(|null| null != facts.has_deployment)),
            self.name.as_ref().map(|filter| filter.matches(&flow.name)),
            self.tags.as_ref().map(|filter| filter.matches(&flow.tags)),
        ])
    }

    /// Tells whether [`FlowFacts::has_deployment`] matters.
    pub fn needs_deployments(&self) -> bool {
        self.deployment.as_ref().is_some_and(|filter| filter.is_null.is_some())
    }

    /// Tells whether the filter is nothing but a list of ids.
    pub fn is_one_list_of_ids(&self) -> bool {
        let rest = Self { operator: Operator::default(), id: None, ..self.clone() };
        let is_list = self.id.as_ref().is_some_and(|filter| filter.any.is_some() && filter.not_any.is_none());
        rest == Self::default() && is_list
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[FlowId]> {
        self.bound(self.id.as_ref()?.any.as_deref())
    }

    /// Returns the names of which every match has one.
    pub fn names(&self) -> Option<&[String]> {
        self.bound(self.name.as_ref()?.any.as_deref())
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        let present = [self.id.is_some(), self.deployment.is_some(), self.name.is_some(), self.tags.is_some()];
        self.operator.bound(&present, bound)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Timestamp;

    fn parse(filter: serde_json::Value) -> FlowFilter {
        serde_json::from_value(filter).unwrap()
    }

    #[test]
    fn follows_the_truth_table() {
        let id = FlowId::new();
        let flow = Flow { tags: vec!["a".to_owned()], ..Flow::new(id, "etl", Timestamp::now()) };
        let table = [
            (json!({}), true),
            (json!({"id": {"any_": [id]}}), true),
            (json!({"id": {"not_any_": [id]}}), false),
            (json!({"name": {"like_": "ET"}, "tags": {"all_": ["b"]}}), false),
            (json!({"name": {"like_": "ET"}, "tags": {"all_": ["b"]}, "operator": "or_"}), true),
            (json!({"name": {"any_": []}, "id": {}, "operator": "or_"}), true),
            (json!({"name": {"any_": []}, "id": null, "operator": "or_"}), false),
            (json!({"deployment": {"is_null_": true}}), false),
            (json!({"deployment": {"is_null_": false}}), true),
            (json!({"deployment": {}}), true),
        ];
        for (filter, expected) in table {
            let facts = FlowFacts { has_deployment: true };
            assert_eq!(parse(filter.clone()).matches(&flow, facts), expected, "{filter}");
        }
    }

    #[test]
    fn says_when_deployments_matter() {
        assert!(parse(json!({"deployment": {"is_null_": false}})).needs_deployments());
        assert!(!parse(json!({"deployment": {}})).needs_deployments());
    }

    #[test]
    fn bounds_respect_the_operator() {
        let id = FlowId::new();
        assert_eq!(parse(json!({"id": {"any_": [id]}, "name": {}})).ids(), Some([id].as_slice()));
        assert_eq!(parse(json!({"id": {"any_": [id]}, "name": {}, "operator": "or_"})).ids(), None);
        assert_eq!(parse(json!({"id": {"any_": [id]}, "operator": "or_"})).ids(), Some([id].as_slice()));
    }
}
