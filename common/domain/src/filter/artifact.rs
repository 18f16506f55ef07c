//! The filters of artifacts and of the latest artifacts.

use serde::{Deserialize, Serialize};

use super::{
    like::contains,
    membership::{AnyOf, AnyOrNotAny},
    operator::Operator,
};
use crate::model::{Artifact, ArtifactCollection, ArtifactId, FlowRunId, TaskRunId};

/// A filter object on an artifact's key (contract schema `ArtifactFilterKey`); all clauses must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArtifactKeyFilter {
    /// The keys to include, compared exactly.
    #[serde(rename = "any_")]
    pub any: Option<Vec<String>>,
    /// A term that the key must contain, by the rules of SQLite's `LIKE`; an empty one says nothing.
    #[serde(rename = "like_")]
    pub like: Option<String>,
    /// Whether there must be a key (`true`) or must be none (`false`).
    #[serde(rename = "exists_")]
    pub exists: Option<bool>,
}

impl ArtifactKeyFilter {
    fn matches(&self, key: Option<&str>) -> bool {
        let included = |keys: &[String]| key.is_some_and(|key| keys.iter().any(|one| one == key));
        let like = |term: &str| term.is_empty() || key.is_some_and(|key| contains(term, key));
        self.any.as_deref().is_none_or(included)
            && self.like.as_deref().is_none_or(like)
            && self.exists.is_none_or(|exists| exists == key.is_some())
    }
}

/// Filters artifacts (contract schemas `ArtifactFilter` and `ArtifactCollectionFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArtifactFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the artifact's id, which the filter of the latest artifacts calls `latest_id`.
    #[serde(alias = "latest_id")]
    pub id: Option<AnyOf<ArtifactId>>,
    /// On the key.
    pub key: Option<ArtifactKeyFilter>,
    /// On the flow run that the artifact belongs to.
    pub flow_run_id: Option<AnyOf<FlowRunId>>,
    /// On the task run that the artifact belongs to.
    pub task_run_id: Option<AnyOf<TaskRunId>>,
    /// On the artifact's type.
    pub r#type: Option<AnyOrNotAny<String>>,
}

/// What a filter looks at: the same of an artifact and of the latest one of a key.
#[derive(Clone, Copy, Debug)]
pub struct ArtifactTraits<'a> {
    id: ArtifactId,
    key: Option<&'a str>,
    r#type: Option<&'a str>,
    flow_run_id: Option<FlowRunId>,
    task_run_id: Option<TaskRunId>,
}

impl<'a> From<&'a Artifact> for ArtifactTraits<'a> {
    fn from(artifact: &'a Artifact) -> Self {
        Self {
            id: artifact.id,
            key: artifact.key.as_deref(),
            r#type: artifact.r#type.as_deref(),
            flow_run_id: artifact.flow_run_id,
            task_run_id: artifact.task_run_id,
        }
    }
}

impl<'a> From<&'a ArtifactCollection> for ArtifactTraits<'a> {
    fn from(collection: &'a ArtifactCollection) -> Self {
        Self {
            id: collection.latest_id,
            key: Some(&collection.key),
            r#type: collection.r#type.as_deref(),
            flow_run_id: collection.flow_run_id,
            task_run_id: collection.task_run_id,
        }
    }
}

impl ArtifactFilter {
    /// Tells whether the filter selects what has these traits.
    pub fn matches<'a>(&self, artifact: impl Into<ArtifactTraits<'a>>) -> bool {
        let artifact = artifact.into();
        self.operator.combine([
            self.id.as_ref().map(|filter| filter.matches(Some(&artifact.id))),
            self.key.as_ref().map(|filter| filter.matches(artifact.key)),
            self.flow_run_id.as_ref().map(|filter| filter.matches(artifact.flow_run_id.as_ref())),
            self.task_run_id.as_ref().map(|filter| filter.matches(artifact.task_run_id.as_ref())),
            self.r#type.as_ref().map(|filter| filter.matches(artifact.r#type)),
        ])
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[ArtifactId]> {
        self.bound(self.id.as_ref()?.any.as_deref())
    }

    /// Returns the keys of which every match has one.
    pub fn keys(&self) -> Option<&[String]> {
        self.bound(self.key.as_ref()?.any.as_deref())
    }

    /// Returns the flow runs of which every match has one.
    pub fn flow_run_ids(&self) -> Option<&[FlowRunId]> {
        self.bound(self.flow_run_id.as_ref()?.any.as_deref())
    }

    /// Returns the task runs of which every match has one.
    pub fn task_run_ids(&self) -> Option<&[TaskRunId]> {
        self.bound(self.task_run_id.as_ref()?.any.as_deref())
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        let Self { operator, id, key, flow_run_id, task_run_id, r#type } = self;
        let present = [id.is_some(), key.is_some(), flow_run_id.is_some(), task_run_id.is_some(), r#type.is_some()];
        operator.bound(&present, bound)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Timestamp;

    fn artifact(key: Option<&str>, r#type: Option<&str>) -> Artifact {
        let mut artifact = Artifact::new(ArtifactId::new(), Timestamp::now());
        (artifact.key, artifact.r#type) = (key.map(str::to_owned), r#type.map(str::to_owned));
        artifact
    }

    #[test]
    fn follows_the_truth_table() {
        let (keyed, bare) = (artifact(Some("report-1"), Some("table")), artifact(None, None));
        let table = [
            (json!({}), true, true),
            (json!({"id": {"any_": [keyed.id]}}), true, false),
            (json!({"latest_id": {"any_": [keyed.id]}}), true, false),
            (json!({"key": {}}), true, true),
            (json!({"key": {"any_": ["report-1"]}}), true, false),
            (json!({"key": {"any_": []}}), false, false),
            (json!({"key": {"like_": "REPORT"}}), true, false),
            (json!({"key": {"like_": ""}}), true, true),
            (json!({"key": {"exists_": true}}), true, false),
            (json!({"key": {"exists_": false}}), false, true),
            (json!({"key": {"exists_": true, "like_": "x"}}), false, false),
            (json!({"type": {"not_any_": ["result"]}}), true, false),
            (json!({"type": {"any_": ["table"]}, "key": {"exists_": false}}), false, false),
            (json!({"type": {"any_": ["table"]}, "key": {"exists_": false}, "operator": "or_"}), true, true),
            (json!({"flow_run_id": {"any_": [FlowRunId::new()]}}), false, false),
        ];
        for (filter, of_keyed, of_bare) in table {
            let parsed: ArtifactFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!([parsed.matches(&keyed), parsed.matches(&bare)], [of_keyed, of_bare], "{filter}");
        }
    }

    #[test]
    fn an_alternative_bounds_nothing() {
        let parse = |filter| serde_json::from_value::<ArtifactFilter>(filter).unwrap();
        assert!(parse(json!({"key": {"any_": ["a"]}, "type": {"any_": ["b"]}})).keys().is_some());
        assert!(parse(json!({"key": {"any_": ["a"]}, "type": {"any_": ["b"]}, "operator": "or_"})).keys().is_none());
    }
}
