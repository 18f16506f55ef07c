//! What goes with a record that was deleted.
//!
//! The oracle's database deletes it in the same transaction; here the stream's consumer begins with it, and the queue's
//! worker goes on where it takes long, in steps that may be repeated: each finds what is still there. A deleted run is a
//! change of its own, so a flow takes its runs along, and each of them what belongs to it.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    api::Api,
    error::Result,
    model::{ArtifactId, Deployment, DeploymentId, FlowRun, FlowRunId, StateType, TaskRunId, Timestamp, WorkQueueId},
    queue::{Message, Queue},
    store::{
        Item, Key, Store,
        query::Range,
        table::{self, Index, Subject},
    },
};

/// How many runs are deleted at the same time.
const DELETIONS_AT_ONCE: usize = 8;

/// How many items are read at once to be deleted.
const PAGE: usize = 200;

/// Deletes what belonged to the record that was under the key `of`; what takes longer than `patience` is left to a message.
///
/// # Errors
/// Those of the store and of the queue; the step may be repeated.
pub async fn step(api: &Api, queue: &Queue, of: &Key, patience: Duration) -> Result<()> {
    if !matches!(
        Subject::of(of),
        Some(
            Subject::Flow(_)
                | Subject::Deployment(_)
                | Subject::FlowRun(_)
                | Subject::TaskRun(_)
                | Subject::WorkPool(_)
                | Subject::WorkQueue(_)
        )
    ) {
        return Ok(());
    }
    // A removal is told of at least once: by now there may be a new record under the same key.
    if api.store.get_item(of).await?.is_some() {
        return Ok(());
    }
    let mut removal = Removal { store: &api.store, until: Instant::now() + patience };
    if removal.is_done(of).await? { Ok(()) } else { queue.send(&[Message::Removal { of: of.clone() }]).await }
}

struct Removal<'s> {
    store: &'s Store,
    until: Instant,
}

impl Removal<'_> {
    /// Deletes until nothing is left, or the time is up; returns whether nothing is left.
    async fn is_done(&mut self, of: &Key) -> Result<bool> {
        match Subject::of(of) {
            Some(Subject::Flow(id)) => {
                Ok(self.deployments(Range::of_index(Index::ByParent, table::deployments_of_flow(id))).await?
                    && self.runs(Range::group(self.store, Index::ByParent, &table::runs_of_flow(id))).await?)
            }
            Some(Subject::Deployment(id)) => {
                self.store.delete_all(&[table::readiness(id), table::deployment_watch(id)]).await?;
                self.unstarted_runs(id).await
            }
            Some(Subject::FlowRun(id)) => {
                let logs = table::logs_partition(Some(id), None);
                Ok(self.runs(Range::group(self.store, Index::ByParent, &table::runs_in_flow_run(id))).await?
                    && self.artifacts(Store::artifacts_of_flow_run(id)).await?
                    && self.items(Range::partition(logs)).await?
                    && self.items(Range::partition(of.pk.clone())).await?)
            }
            Some(Subject::TaskRun(id)) => {
                Ok(self.items(Range::of_index(Index::Lookup, table::task_logs_lookup(id))).await?
                    && self.items(Range::partition(of.pk.clone())).await?)
            }
            Some(Subject::WorkQueue(id)) => self.leave_queue(id).await,
            Some(Subject::WorkPool(_)) => {
                self.items(Range::partition(of.pk.clone()).starting_with(table::WORKERS)).await
            }
            _ => Ok(true),
        }
    }

    /// Deletes the runs in `range`; what belongs to each of them follows from its own removal.
    async fn runs(&mut self, range: Range) -> Result<bool> {
        let mut reader = self.store.read(range, PAGE);
        while let Some(found) = reader.next().await? {
            stream::iter(runs_among(&found))
                .map(|run| self.delete_run(run))
                .buffer_unordered(DELETIONS_AT_ONCE)
                .try_collect::<()>()
                .await?;
            if Instant::now() >= self.until {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes the artifacts in `range`; what was created before each of them becomes the latest of its key.
    async fn artifacts(&mut self, range: Range) -> Result<bool> {
        let mut reader = self.store.read(range, PAGE);
        while let Some(found) = reader.next().await? {
            stream::iter(artifacts_among(&found))
                .map(|id| self.store.delete_artifact(id, Timestamp::now()))
                .buffer_unordered(DELETIONS_AT_ONCE)
                .try_collect::<Vec<bool>>()
                .await?;
            if Instant::now() >= self.until {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes the deployments in `range` as the oracle's database does with those of a flow: their limits stay.
    async fn deployments(&mut self, range: Range) -> Result<bool> {
        let mut reader = self.store.read(range, PAGE);
        while let Some(found) = reader.next().await? {
            let mut keys = Vec::new();
            for item in &found {
                let deployment: Deployment = item.record()?;
                keys.push(item.key.clone());
                keys.push(table::unique_deployment_name(deployment.flow_id, &deployment.name));
            }
            self.store.delete_all(&keys).await?;
            if Instant::now() >= self.until {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the runs that have not ended, and the deployments, out of a deleted queue, as the oracle's database does.
    ///
    /// Runs that have ended keep its id.
    async fn leave_queue(&mut self, queue: WorkQueueId) -> Result<bool> {
        let store = self.store;
        let group = |index, name: String| Range::group(store, index, &name);
        let ranges = [
            group(Index::WaitingInQueue, table::runs_of_work_queue(queue)),
            group(Index::Occupying, table::active_runs_of_work_queue(queue)),
            group(Index::Occupying, table::cancelling_runs_of_work_queue(queue)),
            Range::of_index(Index::Related, table::deployments_of_queue(queue, true)),
            Range::of_index(Index::Related, table::deployments_of_queue(queue, false)),
        ];
        for range in ranges {
            let mut reader = store.read(range, PAGE);
            while let Some(found) = reader.next().await? {
                stream::iter(found)
                    .map(|item| async move { store.leave_work_queue(&item.key, queue).await })
                    .buffer_unordered(DELETIONS_AT_ONCE)
                    .try_collect::<()>()
                    .await?;
                if Instant::now() >= self.until {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Deletes the runs of a deleted deployment that were scheduled and never ran; the others stay, and keep its id.
    async fn unstarted_runs(&mut self, id: DeploymentId) -> Result<bool> {
        let range = Range::group(self.store, Index::WaitingOfDeployment, &table::runs_of_deployment(id));
        let mut reader = self.store.read(range, PAGE);
        while let Some(found) = reader.next().await? {
            let keys: Vec<Key> = found.into_iter().map(|item| item.key).collect();
            // The index may lag behind a run that has started.
            let runs = self.store.get_many::<FlowRun>(&keys).await?.into_iter().map(|found| found.record);
            let doomed: Vec<Run> = runs.filter(|run| goes_with(id, run)).map(|run| Run::Flow(run.id)).collect();
            let has_some = !doomed.is_empty();
            stream::iter(doomed)
                .map(|run| self.delete_run(run))
                .buffer_unordered(DELETIONS_AT_ONCE)
                .try_collect::<()>()
                .await?;
            // The next step begins anew, so this one goes on until it has made some way.
            if has_some && Instant::now() >= self.until {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn delete_run(&self, run: Run) -> Result<()> {
        match run {
            Run::Flow(id) => self.store.delete_flow_run(id).await.map(drop),
            Run::Task(id) => self.store.delete_task_run(id).await.map(drop),
        }
    }

    async fn items(&mut self, range: Range) -> Result<bool> {
        let mut reader = self.store.read(range, PAGE);
        while let Some(found) = reader.next().await? {
            let keys: Vec<Key> = found.into_iter().map(|item| item.key).collect();
            self.store.delete_all(&keys).await?;
            if Instant::now() >= self.until {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Says whether a run is deleted together with its deployment.
fn goes_with(deployment: DeploymentId, run: &FlowRun) -> bool {
    let is_scheduled = run
        .state
        .as_ref()
        .is_some_and(|state| state.r#type == StateType::Scheduled && state.name != AWAITING_CONCURRENCY_SLOT);
    run.deployment_id == Some(deployment) && is_scheduled && run.run_count == 0
}

/// The name of the state of a run that waits for a slot of its deployment's concurrency limit.
const AWAITING_CONCURRENCY_SLOT: &str = "AwaitingConcurrencySlot";

/// A run that belonged to what was deleted.
enum Run {
    Flow(FlowRunId),
    Task(TaskRunId),
}

fn runs_among(items: &[Item]) -> Vec<Run> {
    let run = |item: &Item| match Subject::of(&item.key)? {
        Subject::FlowRun(id) => Some(Run::Flow(id)),
        Subject::TaskRun(id) => Some(Run::Task(id)),
        _ => None,
    };
    items.iter().filter_map(run).collect()
}

fn artifacts_among(items: &[Item]) -> Vec<ArtifactId> {
    let artifact = |item: &Item| match Subject::of(&item.key)? {
        Subject::Artifact(id) => Some(id),
        _ => None,
    };
    items.iter().filter_map(artifact).collect()
}
