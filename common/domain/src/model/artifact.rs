//! Artifacts: what runs leave behind for people to look at, such as tables, reports, links, progress and results.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::{Builder, Uuid};

use super::{FlowRunId, StateId, TaskRunId, Timestamp, id::typed_id, named};
use crate::events::Lifecycle;

typed_id! {
    /// The id of an artifact.
    ArtifactId
}

typed_id! {
    /// The id of the collection of the artifacts of one key.
    ArtifactCollectionId
}

/// The type of the artifact that shows how far something has got, whose data a graph shows as well.
pub const PROGRESS: &str = "progress";

/// The type of the artifact that is a result, which a graph does not show.
pub const RESULT: &str = "result";

impl ArtifactId {
    /// Makes the id of an artifact created at `created`: a UUID of version 7, whose random part comes from `seed`.
    ///
    /// It holds the microseconds as well (RFC 9562, section 6.2, method 3), so ids are ordered as the artifacts were created.
    pub fn at(created: Timestamp, seed: Uuid) -> Self {
        let micros = u64::try_from(created.as_micros()).unwrap_or_default();
        let fraction = u16::try_from((micros % 1_000) * 4_096 / 1_000).unwrap_or_default();
        let mut random = [0; 10];
        for (place, byte) in random.iter_mut().zip(fraction.to_be_bytes().iter().chain(&seed.as_bytes()[8..])) {
            *place = *byte;
        }
        Self(Builder::from_unix_timestamp_millis(micros / 1_000, &random).into_uuid())
    }
}

/// The most characters of a value of an artifact's metadata that are kept (Prefect's `validate_max_metadata_length`).
const LONGEST_METADATA: usize = 500;

/// What a client notes about an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(IndexMap<String, String>);

impl Metadata {
    /// Returns it as it is kept: of a value that is too long, the beginning.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        for value in self.0.values_mut() {
            if let Some((end, _)) = value.char_indices().nth(LONGEST_METADATA) {
                value.truncate(end);
                value.push_str("...");
            }
        }
        self
    }
}

/// An artifact (contract schema `Artifact`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// The artifact's id.
    pub id: ArtifactId,
    /// When the artifact was created.
    pub created: Timestamp,
    /// When the artifact was last changed.
    pub updated: Timestamp,
    /// The key under which artifacts are collected.
    pub key: Option<String>,
    /// What the data is like, such as `table`, `markdown` or `progress`.
    pub r#type: Option<String>,
    /// A description in Markdown.
    pub description: Option<String>,
    /// The data.
    pub data: Option<Value>,
    /// What the client notes about the artifact.
    #[serde(rename = "metadata_")]
    pub metadata: Option<Metadata>,
    /// The flow run that the artifact belongs to.
    pub flow_run_id: Option<FlowRunId>,
    /// The task run that the artifact belongs to.
    pub task_run_id: Option<TaskRunId>,
    /// The state of one of these runs that has the data as its result; never answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_of: Option<ResultOf>,
}

/// A state whose result an artifact is: of the artifact's task run, or of its flow run if it has no task run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultOf {
    /// The state.
    pub state: StateId,
    /// When it was entered.
    pub entered: Timestamp,
}

impl Artifact {
    /// Makes an empty artifact, created at `created`.
    pub fn new(id: ArtifactId, created: Timestamp) -> Self {
        Self {
            id,
            created,
            updated: created,
            key: None,
            r#type: None,
            description: None,
            data: None,
            metadata: None,
            flow_run_id: None,
            task_run_id: None,
            result_of: None,
        }
    }

    /// Returns the artifact as it is answered.
    #[must_use]
    pub fn answer(self) -> Self {
        Self { result_of: None, ..self }
    }
}

/// The artifacts of one key, by the latest of them.
///
/// What else the contract's schema `ArtifactCollection` has is the latest artifact's own; see [`LatestArtifact`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArtifactCollection {
    /// The collection's id.
    pub id: ArtifactCollectionId,
    /// When the collection's first artifact was created, or, after a deletion, the latest one.
    pub created: Timestamp,
    /// When another artifact last became the latest.
    pub updated: Timestamp,
    /// The key.
    pub key: String,
    /// The latest artifact.
    pub latest_id: ArtifactId,
    /// The latest artifact's type.
    pub r#type: Option<String>,
    /// The flow run that the latest artifact belongs to.
    pub flow_run_id: Option<FlowRunId>,
    /// The task run that the latest artifact belongs to.
    pub task_run_id: Option<TaskRunId>,
}

impl ArtifactCollection {
    /// Makes the collection of `key`, of which `latest` is the only artifact.
    pub fn new(id: ArtifactCollectionId, key: &str, latest: &Artifact) -> Self {
        let mut collection = Self {
            id,
            created: latest.created,
            updated: latest.created,
            key: key.to_owned(),
            latest_id: latest.id,
            r#type: None,
            flow_run_id: None,
            task_run_id: None,
        };
        collection.follow(latest, latest.created);
        collection
    }

    /// Makes `latest` the latest artifact, at `now`.
    pub fn follow(&mut self, latest: &Artifact, now: Timestamp) {
        self.updated = now;
        self.latest_id = latest.id;
        self.r#type.clone_from(&latest.r#type);
        self.flow_run_id = latest.flow_run_id;
        self.task_run_id = latest.task_run_id;
    }
}

/// A collection as events tell of it: with what its latest artifact holds, or nothing of that if the artifact is gone.
#[derive(Clone, Debug)]
pub struct ToldCollection {
    collection: ArtifactCollection,
    data: Option<Value>,
    description: Option<String>,
}

impl ToldCollection {
    /// Takes `collection` with what `latest` holds.
    pub fn new(collection: ArtifactCollection, latest: Option<Artifact>) -> Self {
        let (data, description) = latest.map(|latest| (latest.data, latest.description)).unwrap_or_default();
        Self { collection, data, description }
    }
}

named!(ToldCollection, collection, key);

impl Lifecycle for ToldCollection {
    const RESOURCE: &'static str = "artifact-collection";

    fn related(&self) -> Vec<Value> {
        let related = |role: &str, kind: &str, id: Uuid| json!({ "prefect.resource.id": format!("prefect.{kind}.{id}"), "prefect.resource.role": role });
        let latest = related("latest", "artifact", self.collection.latest_id.0);
        let flow_run = self.collection.flow_run_id.map(|id| related("flow-run", "flow-run", id.0));
        let task_run = self.collection.task_run_id.map(|id| related("task-run", "task-run", id.0));
        std::iter::once(latest).chain(flow_run).chain(task_run).collect()
    }

    fn payload(&self) -> Value {
        let ArtifactCollection { key, r#type, .. } = &self.collection;
        json!({ "key": key, "type": r#type, "data": self.data, "description": self.description })
    }

    fn short_payload(&self) -> Option<Value> {
        Some(json!({ "type": self.collection.r#type }))
    }
}

/// A collection together with its latest artifact (contract schema `ArtifactCollection`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatestArtifact {
    /// The collection's id.
    pub id: ArtifactCollectionId,
    /// When the collection's first artifact was created, or, after a deletion, the latest one.
    pub created: Timestamp,
    /// When the latest artifact was last changed.
    pub updated: Timestamp,
    /// The key.
    pub key: String,
    /// The latest artifact.
    pub latest_id: ArtifactId,
    /// What the data is like.
    pub r#type: Option<String>,
    /// A description in Markdown.
    pub description: Option<String>,
    /// The data.
    pub data: Option<Value>,
    /// What the client notes about the artifact.
    #[serde(rename = "metadata_")]
    pub metadata: Option<Metadata>,
    /// The flow run that the artifact belongs to.
    pub flow_run_id: Option<FlowRunId>,
    /// The task run that the artifact belongs to.
    pub task_run_id: Option<TaskRunId>,
}

impl LatestArtifact {
    /// Puts together what is answered of `collection`, whose latest artifact is `latest`.
    pub fn new(collection: ArtifactCollection, latest: Artifact) -> Self {
        let ArtifactCollection { id, created, key, latest_id, .. } = collection;
        let Artifact { updated, r#type, description, data, metadata, flow_run_id, task_run_id, .. } = latest;
        Self { id, created, updated, key, latest_id, r#type, description, data, metadata, flow_run_id, task_run_id }
    }

    /// Returns the answer where an artifact is asked for: the collection stands in for it, with its own id.
    pub fn into_artifact(self) -> Artifact {
        Artifact {
            id: ArtifactId(self.id.0),
            created: self.created,
            updated: self.updated,
            key: Some(self.key),
            r#type: self.r#type,
            description: self.description,
            data: self.data,
            metadata: self.metadata,
            flow_run_id: self.flow_run_id,
            task_run_id: self.task_run_id,
            result_of: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_metadata_the_beginning_is_kept() {
        let kept = |length| {
            let metadata = Metadata([("m".to_owned(), "ü".repeat(length))].into()).shortened();
            metadata.0["m"].chars().count()
        };
        assert_eq!([kept(500), kept(501), kept(9_000)], [500, 503, 503]);
    }

    #[test]
    fn ids_are_ordered_as_the_artifacts_were_created() {
        let start = Timestamp::now().as_micros();
        let ids: Vec<_> = (start..start + 3_000)
            .map(|micros| ArtifactId::at(Timestamp::from_micros(micros).unwrap(), Uuid::new_v4()))
            .collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].0.get_version_num(), 7);
    }

    #[test]
    fn the_same_seed_makes_the_same_id() {
        let (now, seed) = (Timestamp::now(), Uuid::new_v4());
        assert_eq!(ArtifactId::at(now, seed), ArtifactId::at(now, seed));
        assert_ne!(ArtifactId::at(now, seed), ArtifactId::at(now, Uuid::new_v4()));
    }
}
