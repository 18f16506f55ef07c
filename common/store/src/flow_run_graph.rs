//! What the graphs of a flow run are made of.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{
    Item, Key, Store, TableAccess,
    query::Range,
    table::{self, Index},
};
use domain::{
    graph::{Assembly, Graph, GraphArtifact, Subflow},
    model::{Artifact, ArtifactCollection, ArtifactId, Flow, FlowId, FlowRun, FlowRunId, TaskRun, Timestamp, artifact},
};
use error::{Error, Result};

/// How many task runs are read at once.
const TASK_RUNS_AT_ONCE: usize = 500;

/// How many artifacts are read at once.
const ARTIFACTS_AT_ONCE: usize = 500;

/// How much a graph holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphLimits {
    /// How many nodes; more of them are refused.
    pub nodes: usize,
    /// How many artifacts; more of them are left out.
    pub artifacts: usize,
}

/// What [`Store::flow_run_graph`] touches.
pub const GRAPH: TableAccess = TableAccess::READS.via(&[Index::ByParent, Index::Related]);

/// What [`Store::task_runs_for_dependencies`] touches.
pub const DEPENDENCIES: TableAccess = TableAccess::READS.via(&[Index::ByParent]);

impl Store {
    /// Returns the graph of the flow run `id`: what has not ended before `since`, within `limits`.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`] without the run, and [`Error::BadRequest`] if there are more nodes, as soon as that is known.
    pub async fn flow_run_graph(&self, id: FlowRunId, since: Timestamp, limits: GraphLimits) -> Result<Graph> {
        let (run, subflows, states) =
            futures::try_join!(self.flow_run(id), self.subflows_in(id), self.flow_run_states(id))?;
        let run = run.ok_or_else(|| Error::NoSuchRun(format!("Flow run {id} not found")))?;
        let mut assembly = Assembly::new(run.record, subflows, since, limits.nodes);
        let task_runs = Range::group(self, Index::ByParent, &table::runs_in_flow_run(id));
        let mut reader = self.read(task_runs, TASK_RUNS_AT_ONCE);
        while let Some(items) = reader.more().await? {
            for run in items.iter().filter_map(Item::readable) {
                assembly.add(&run)?;
            }
        }
        assembly.finish(states, self.graph_artifacts(id, limits.artifacts).await?)
    }

    /// Reads the artifacts of the flow run `id` that a graph shows, `most` of them at most, the first created first.
    ///
    /// As Prefect, neither results are shown nor what has no type.
    async fn graph_artifacts(&self, id: FlowRunId, most: usize) -> Result<Vec<(Option<Uuid>, GraphArtifact)>> {
        let mut shown: Vec<Artifact> = Vec::new();
        let mut reader = self.read(Self::artifacts_of_flow_run(id), ARTIFACTS_AT_ONCE);
        while shown.len() < most {
            let Some(items) = reader.more().await? else { break };
            let keys: Vec<Key> = items.into_iter().map(|item| item.key).collect();
            let found = self.get_many::<Artifact>(&keys).await?.into_iter().map(|found| found.record);
            shown.extend(found.filter(|artifact| artifact.r#type.as_deref().is_some_and(|it| it != artifact::RESULT)));
        }
        shown.truncate(most);
        let keys: HashSet<&str> = shown.iter().filter_map(|artifact| artifact.key.as_deref()).collect();
        let keys: Vec<Key> = keys.into_iter().map(table::artifact_collection).collect();
        let collections = self.get_many::<ArtifactCollection>(&keys).await?;
        let latest: HashSet<ArtifactId> = collections.into_iter().map(|found| found.record.latest_id).collect();
        let in_graph = |artifact: Artifact| {
            let is_latest = artifact.key.is_none() || latest.contains(&artifact.id);
            let data = artifact.data.filter(|_| artifact.r#type.as_deref() == Some(artifact::PROGRESS));
            let Artifact { id, created, key, r#type, task_run_id, .. } = artifact;
            (task_run_id.map(Uuid::from), GraphArtifact { id, created, key, r#type, is_latest, data })
        };
        Ok(shown.into_iter().map(in_graph).collect())
    }

    /// Reads the task runs of the flow run `id`, the one with the largest id first.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`] without the run.
    pub async fn task_runs_for_dependencies(&self, id: FlowRunId) -> Result<Vec<TaskRun>> {
        let (run, task_runs) = futures::try_join!(self.flow_run(id), self.task_runs_of(id))?;
        run.ok_or_else(|| Error::no_such_run("Flow run", id))?;
        let mut task_runs: Vec<TaskRun> = task_runs.into_iter().map(|found| found.record).collect();
        task_runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        Ok(task_runs)
    }

    async fn subflows_in(&self, id: FlowRunId) -> Result<Vec<Subflow>> {
        let items: Vec<Item> = self.read_all(Range::of_index(Index::Related, table::subflows_of(id))).await?;
        let keys: Vec<Key> = items.into_iter().map(|item| item.key).collect();
        let runs = self.get_many::<FlowRun>(&keys).await?;
        let flows: Vec<Key> = runs.iter().map(|found| table::flow(found.record.flow_id)).collect();
        let flows: HashMap<FlowId, String> = self
            .get_many::<Flow>(&flows)
            .await?
            .into_iter()
            .map(|found| (found.record.id, found.record.name))
            .collect();
        // A run whose flow is being deleted is about to go as well.
        let named = runs.into_iter().filter_map(|found| {
            let flow = flows.get(&found.record.flow_id)?.clone();
            Some(Subflow { run: found.record, flow })
        });
        Ok(named.collect())
    }
}
