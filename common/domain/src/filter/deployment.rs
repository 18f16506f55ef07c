//! The filter of deployments.

use serde::{Deserialize, Serialize};

use super::{
    like::contains,
    membership::{AnyOf, AnyOrNotAny},
    name::NameFilter,
    operator::Operator,
    sort::NamedSort,
    tags::AnyTagsFilter,
};
use crate::model::{Deployment, DeploymentId};

/// A filter object on the name of a deployment or of its flow (contract schema `DeploymentOrFlowNameFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeploymentOrFlowNameFilter {
    /// A term that one of both names must contain, by the rules of SQLite's `LIKE`; an empty one says nothing.
    #[serde(rename = "like_")]
    pub like: Option<String>,
}

/// A filter object on whether a deployment is paused (contract schema `DeploymentFilterPaused`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PausedFilter {
    /// What the deployment must be.
    #[serde(rename = "eq_")]
    pub eq: Option<bool>,
}

/// The filter object on the former concurrency limit, which says nothing (contract schema `DeploymentFilterConcurrencyLimit`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConcurrencyLimitFilter {
    /// Accepted and ignored.
    #[serde(rename = "ge_")]
    pub ge: Option<i64>,
    /// Accepted and ignored.
    #[serde(rename = "le_")]
    pub le: Option<i64>,
    /// Accepted and ignored.
    #[serde(rename = "is_null_")]
    pub is_null: Option<bool>,
}

/// How deployments are sorted (contract schema `DeploymentSort`).
pub type DeploymentSort = NamedSort;

/// Filters deployments (contract schema `DeploymentFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeploymentFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the deployment's id.
    pub id: Option<AnyOrNotAny<DeploymentId>>,
    /// On the deployment's name.
    pub name: Option<NameFilter>,
    /// On the name of the deployment or of its flow.
    pub flow_or_deployment_name: Option<DeploymentOrFlowNameFilter>,
    /// On whether the deployment is paused.
    pub paused: Option<PausedFilter>,
    /// On the deployment's tags.
    pub tags: Option<AnyTagsFilter>,
    /// On the name of the deployment's work queue.
    pub work_queue_name: Option<AnyOf<String>>,
    /// Accepted and ignored, as Prefect does; under `or_` too.
    pub concurrency_limit: Option<ConcurrencyLimitFilter>,
}

/// What [`DeploymentFilter::matches`] has to know beyond the deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeploymentFacts<'a> {
    /// The name of the deployment's flow; looked at only if [`DeploymentFilter::needs_flow_name`].
    pub flow_name: &'a str,
}

impl DeploymentFilter {
    /// Tells whether the filter selects `deployment`.
    pub fn matches(&self, deployment: &Deployment, facts: DeploymentFacts<'_>) -> bool {
        let either_name = |term: &str| contains(term, &deployment.name) || contains(term, facts.flow_name);
        self.operator.combine([
            self.id.as_ref().map(|filter| filter.matches(Some(&deployment.id))),
            self.name.as_ref().map(|filter| filter.matches(&deployment.name)),
            self.flow_or_deployment_name.as_ref().map(|filter| filter.like.as_deref().is_none_or(either_name)),
            self.paused.as_ref().map(|filter| filter.eq.is_none_or(|paused| paused == deployment.paused)),
            self.tags.as_ref().map(|filter| filter.matches(&deployment.tags)),
            self.work_queue_name.as_ref().map(|filter| filter.matches(deployment.work_queue_name.as_deref())),
        ])
    }

    /// Tells whether [`DeploymentFacts::flow_name`] matters.
    pub fn needs_flow_name(&self) -> bool {
        let term = self.flow_or_deployment_name.as_ref().and_then(|filter| filter.like.as_deref());
        term.is_some_and(|term| !term.is_empty())
    }

    /// Tells whether the filter is nothing but a list of ids.
    pub fn is_one_list_of_ids(&self) -> bool {
        let rest = Self { operator: Operator::default(), id: None, ..self.clone() };
        let is_list = self.id.as_ref().is_some_and(|filter| filter.any.is_some() && filter.not_any.is_none());
        rest == Self::default() && is_list
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[DeploymentId]> {
        self.bound(self.id.as_ref()?.any.as_deref())
    }

    /// Returns the names of which every match has one.
    pub fn names(&self) -> Option<&[String]> {
        self.bound(self.name.as_ref()?.any.as_deref())
    }

    /// Returns the names of work queues of which every match has one.
    pub fn work_queue_names(&self) -> Option<&[String]> {
        self.bound(self.work_queue_name.as_ref()?.any.as_deref())
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        let present = [
            self.id.is_some(),
            self.name.is_some(),
            self.flow_or_deployment_name.is_some(),
            self.paused.is_some(),
            self.tags.is_some(),
            self.work_queue_name.is_some(),
        ];
        self.operator.bound(&present, bound)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{FlowId, Timestamp};

    fn deployment() -> Deployment {
        let now = Timestamp::now();
        let document = json!({"id": DeploymentId::new(), "created": now, "updated": now, "name": "Nightly", "flow_id": FlowId::new()});
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn follows_the_truth_table() {
        let table = [
            (json!({}), true),
            (json!({"flow_or_deployment_name": {"like_": "night"}}), true),
            (json!({"flow_or_deployment_name": {"like_": "etl"}}), true),
            (json!({"flow_or_deployment_name": {"like_": "other"}}), false),
            (json!({"flow_or_deployment_name": {"like_": ""}}), true),
            (json!({"name": {"like_": "etl"}}), false),
            (json!({"paused": {"eq_": false}}), true),
            (json!({"paused": {"eq_": true}}), false),
            (json!({"paused": {}}), true),
            (json!({"work_queue_name": {"any_": ["default"]}}), false),
            (json!({"concurrency_limit": {"ge_": 1}, "operator": "or_"}), true),
            (json!({"concurrency_limit": {"ge_": 1}, "paused": {"eq_": true}, "operator": "or_"}), false),
        ];
        for (filter, expected) in table {
            let parsed: DeploymentFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.matches(&deployment(), DeploymentFacts { flow_name: "ETL" }), expected, "{filter}");
        }
    }

    #[test]
    fn an_empty_term_needs_no_flow_name() {
        let parse = |filter| serde_json::from_value::<DeploymentFilter>(filter).unwrap();
        assert!(parse(json!({"flow_or_deployment_name": {"like_": "x"}})).needs_flow_name());
        assert!(!parse(json!({"flow_or_deployment_name": {"like_": ""}})).needs_flow_name());
    }
}
