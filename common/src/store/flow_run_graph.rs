//! What the graphs of a flow run are made of.

use std::collections::HashMap;

use super::{
    Item, Key, Store,
    query::Range,
    table::{self, Index},
};
use crate::{
    error::{Error, Result},
    flow_run_graph::{Assembly, Graph, Subflow},
    model::{Flow, FlowId, FlowRun, FlowRunId, TaskRun, Timestamp},
    transitions::no_such_run,
};

/// How many task runs are read at once.
const TASK_RUNS_AT_ONCE: usize = 500;

impl Store {
    /// Returns the graph of the flow run `id`: what has not ended before `since`, and `most_nodes` of it at most.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`] without the run, and [`Error::BadRequest`] if there is more, as soon as that is known.
    pub async fn flow_run_graph(&self, id: FlowRunId, since: Timestamp, most_nodes: usize) -> Result<Graph> {
        let (run, subflows, states) =
            futures::try_join!(self.flow_run(id), self.subflows_in(id), self.flow_run_states(id))?;
        let run = run.ok_or_else(|| Error::NoSuchRun(format!("Flow run {id} not found")))?;
        let mut assembly = Assembly::new(run.record, subflows, since, most_nodes);
        let task_runs = Range::group(self, Index::ByParent, &table::runs_in_flow_run(id));
        let mut reader = self.read(task_runs, TASK_RUNS_AT_ONCE);
        while let Some(items) = reader.next().await? {
            for item in items {
                assembly.add(&item.record()?)?;
            }
        }
        // No artifacts are stored yet, so there are none to be joined.
        assembly.finish(states, [])
    }

    /// Reads the task runs of the flow run `id`, the one with the largest id first.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`] without the run.
    pub async fn task_runs_for_dependencies(&self, id: FlowRunId) -> Result<Vec<TaskRun>> {
        let (run, task_runs) = futures::try_join!(self.flow_run(id), self.task_runs_of(id))?;
        run.ok_or_else(|| no_such_run("Flow run", id))?;
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
