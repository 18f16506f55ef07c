//! Probes of artifacts, and of the latest ones of their keys.

use common::{
    Result,
    filter::ArtifactSort,
    model::{Artifact, FlowRunId, TaskRunId},
    store::artifact_query::ArtifactFilters,
};
use serde_json::{Value, json};

use crate::{
    probe::Probe,
    world::{PAGE, World, any, read},
};

const KEY: &str = "report";

pub(crate) async fn probes() -> Vec<Probe> {
    let world = World::new().await;
    let store = &world.store;
    let (flow_run, task_run) = (FlowRunId::new(), TaskRunId::new());
    let artifact = world
        .artifact(|artifact| {
            artifact.key = Some(KEY.to_owned());
            (artifact.flow_run_id, artifact.task_run_id) = (Some(flow_run), Some(task_run));
        })
        .await;
    let with = async |field: &str, value: Value| -> Result<Vec<Artifact>> {
        store.artifacts(&read(json!({"artifacts": {field: value}})), ArtifactSort::CreatedDesc, PAGE).await
    };
    let everything = ArtifactFilters::default();
    let all = |sort| store.artifacts(&everything, sort, PAGE);
    let latest = |sort| store.latest_artifacts(&everything, sort, PAGE);
    vec![
        world.probe("an artifact by its id", store.artifact(artifact.id)).await,
        world.probe("the latest artifact of a key", store.latest_artifact(KEY)).await,
        world.probe("the artifacts of a key, by creation", with("key", any(KEY))).await,
        world.probe("the artifacts of a task run, by creation", with("task_run_id", any(task_run))).await,
        world.probe("the artifacts of a flow run, by creation", with("flow_run_id", any(flow_run))).await,
        world.probe("all artifacts by creation", all(ArtifactSort::CreatedDesc)).await,
        world.probe("all artifacts by key", all(ArtifactSort::KeyAsc)).await,
        world.probe("all latest artifacts by creation", latest(ArtifactSort::CreatedDesc)).await,
        world.probe("all latest artifacts by key", latest(ArtifactSort::KeyAsc)).await,
    ]
}
