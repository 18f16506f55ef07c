//! What goes with a record that was deleted.
//!
//! The real server's database deletes it in the same transaction. Here the request that deletes the record goes on with what a
//! reader would find ([`within_request`]), for some seconds at most, so that it is gone when the request is answered. The
//! stream's consumer looks for what is left of it, and the job runner goes on where that takes long, in steps that may
//! be repeated: each finds what is still there. A deleted run is a change of its own, so a flow takes its runs along, and
//! each of them what belongs to it.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};

use domain::model::{
    ArtifactId, BlockDocument, BlockDocumentId, BlockSchema, BlockSchemaId, Deployment, DeploymentId, FlowRun,
    FlowRunId, StateType, TaskRunId, Timestamp, WorkQueueId,
};
use error::Result;
use store::{
    Item, Key, Store, TableAccess,
    query::Range,
    table::{self, Index, Subject},
    task_runs,
};

use crate::{
    App,
    jobs::queue::{Message, Queue},
};

/// What [`within_request`] touches of what belonged to flow runs.
pub const OF_FLOW_RUNS: TableAccess = TableAccess::WRITES_MANY.and(task_runs::OF_FLOW_RUN).and(task_runs::DELETE);

/// What [`within_request`] touches of what belonged to flows.
pub const OF_FLOWS: TableAccess = OF_FLOW_RUNS.via(&[Index::ByParent]);

/// How many runs are deleted at the same time.
const DELETIONS_AT_ONCE: usize = 8;

/// How many items are read at once to be deleted.
const PAGE: usize = 200;

/// How long a request removes what a reader would find, before it is answered and the rest is left to the stream's consumer.
const PATIENCE: Duration = Duration::from_secs(5);

/// When the indexes are asked once more what belonged to the record: by the first time they may not have told of the latest.
const SECOND_LOOK: Duration = Duration::from_mins(1);

/// What [`within_request`] touches for a work queue, besides what the request does that deletes it.
pub const OF_QUEUE: TableAccess = TableAccess::WRITES.via(&[Index::Occupying, Index::Related, Index::WaitingInQueue]);

/// What [`within_request`] touches of what belonged to a block schema.
pub const OF_BLOCK_SCHEMA: TableAccess = TableAccess::WRITES.via(&[Index::Lookup]);

/// What [`within_request`] touches of what belonged to a block type.
pub const OF_BLOCK_TYPE: TableAccess = OF_BLOCK_SCHEMA.via(&[Index::ByParent, Index::Related]);

/// Which time it is that everything has to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The first one.
    First,
    /// The one when no index lags any more.
    Second,
}

/// Deletes what belonged to the record that was under the key `of`; what takes longer than `patience` is left to a message.
///
/// # Errors
/// Those of the store and of the queue; the step may be repeated.
pub async fn step(app: &App, queue: &Queue, of: &Key, look: Look, patience: Duration) -> Result<()> {
    let is_found_by_index = match Subject::of(of) {
        Some(
            Subject::Flow(_)
            | Subject::Deployment(_)
            | Subject::FlowRun(_)
            | Subject::TaskRun(_)
            | Subject::WorkQueue(_)
            | Subject::BlockType(_)
            | Subject::BlockSchema(_),
        ) => true,
        Some(Subject::WorkPool(_)) => false,
        _ => return Ok(()),
    };
    // A removal is told of at least once: by now there may be a new record under the same key.
    if app.store.get_item(of).await?.is_some() {
        return Ok(());
    }
    let removal = Removal { app, extent: Extent::Everything, until: Instant::now() + patience };
    let again = |is_second_look, wait| {
        let message = Message::Removal { of: of.clone(), is_second_look };
        async move { queue.send_later(&[(message, wait)]).await }
    };
    if !removal.is_done(of).await? {
        again(look == Look::Second, Duration::ZERO).await
    } else if is_found_by_index && look == Look::First {
        again(true, SECOND_LOOK).await
    } else {
        Ok(())
    }
}

/// What [`within_request`] touches for deployments: their runs that never ran, with what is in the partitions of those.
pub const OF_DEPLOYMENTS: TableAccess = TableAccess::WRITES_MANY.via(&[Index::WaitingOfDeployment]);

/// Deletes what a reader would still find of what belonged to the records that this request has deleted, under the keys `of`.
///
/// For one flow run these are a query of its partition and one of each shard of its task runs, all at once, and a deletion
/// of each task run; for a flow those of its deployments and runs before. What fails or takes too long is left to the
/// stream's consumer: the records are deleted, so the request has succeeded.
pub async fn within_request(app: &App, of: impl IntoIterator<Item = Key>) {
    let removal = Removal { app, extent: Extent::Visible, until: Instant::now() + PATIENCE };
    let removed = at_once(of.into_iter().collect(), |key| {
        let removal = &removal;
        async move { if removal.goes_further() { removal.is_done(&key).await.map(drop) } else { Ok(()) } }
    });
    if let Err(error) = Box::pin(removed).await {
        tracing::warn!(%error, "what belonged to a deleted record is removed later");
    }
}

/// How much of what belonged to a record a removal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// What the real server deletes in the transaction that deletes the record, with what belonged to that in turn.
    Visible,
    /// All of it. What belongs to a deleted run follows from the run's own removal.
    Everything,
}

/// What becomes of something that belonged to what was deleted.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// The item is deleted.
    Item,
    /// The run is deleted; what belongs to it follows from its own removal.
    Run,
    /// The artifact is deleted; what was created before it becomes the latest of its key.
    Artifact,
    /// The deployment is deleted as the real server's database does with those of a flow: its limit stays.
    Deployment,
    /// The run that has not ended, or the deployment, is taken out of the queue, as the real server's database does; runs that
    /// have ended keep the queue's id.
    Leave(WorkQueueId),
    /// The block schema is deleted, and with it the documents that have it; no event tells of either, as in Prefect.
    BlockSchema,
    /// The block document is deleted, untold.
    BlockDocument,
    /// The deployment's run is deleted if it was scheduled and never ran; others stay, and keep the deployment's id.
    UnstartedRun(DeploymentId),
}

struct Removal<'a> {
    app: &'a App,
    extent: Extent,
    until: Instant,
}

impl Removal<'_> {
    /// Deletes until nothing is left, or the time is up; returns whether nothing is left.
    async fn is_done(&self, of: &Key) -> Result<bool> {
        let store = &self.app.store;
        let partition = Range::partition(of.pk.clone());
        match Subject::of(of) {
            Some(Subject::Flow(id)) => {
                let deployments = Range::of_index(Index::ByParent, table::deployments_of_flow(id));
                let runs = Range::group(store, Index::ByParent, &table::runs_of_flow(id));
                self.all([(deployments, Fate::Deployment), (runs, Fate::Run)]).await
            }
            Some(Subject::Deployment(id)) => {
                if self.extent == Extent::Everything {
                    store.delete_all(&[table::readiness(id), table::deployment_watch(id)]).await?;
                }
                let waiting = Range::group(store, Index::WaitingOfDeployment, &table::runs_of_deployment(id));
                self.all([(waiting, Fate::UnstartedRun(id))]).await
            }
            Some(Subject::FlowRun(id)) if self.extent == Extent::Visible => {
                let task_runs = Range::group(store, Index::ByParent, &table::runs_in_flow_run(id));
                let (task_runs, partition) =
                    tokio::try_join!(self.all([(task_runs, Fate::Run)]), self.all([(partition, Fate::Item)]))?;
                Ok(task_runs && partition)
            }
            Some(Subject::FlowRun(id)) => {
                let task_runs = Range::group(store, Index::ByParent, &table::runs_in_flow_run(id));
                let artifacts = Store::artifacts_of_flow_run(id);
                let logs = Range::partition(table::LogsOf::FlowRun(id).partition());
                let fates = [Fate::Run, Fate::Artifact, Fate::Item, Fate::Item];
                self.all([task_runs, artifacts, logs, partition].into_iter().zip(fates)).await
            }
            // Its states went with it.
            Some(Subject::TaskRun(_)) if self.extent == Extent::Visible => Ok(true),
            Some(Subject::TaskRun(id)) => {
                let logs = Range::of_index(Index::Lookup, table::task_logs_lookup(id));
                self.all([(logs, Fate::Item), (partition, Fate::Item)]).await
            }
            Some(Subject::WorkQueue(id)) => {
                let group = |index, name: String| Range::group(store, index, &name);
                let ranges = [
                    group(Index::WaitingInQueue, table::runs_of_work_queue(id)),
                    group(Index::Occupying, table::active_runs_of_work_queue(id)),
                    group(Index::Occupying, table::cancelling_runs_of_work_queue(id)),
                    Range::of_index(Index::Related, table::deployments_of_queue(id, true)),
                    Range::of_index(Index::Related, table::deployments_of_queue(id, false)),
                ];
                self.all(ranges.map(|range| (range, Fate::Leave(id)))).await
            }
            Some(Subject::BlockType(id)) => {
                let schemas = Range::of_index(Index::ByParent, table::block_schemas_of_type(id));
                let documents = Range::of_index(Index::Related, table::block_documents_of_type(id));
                self.all([(documents, Fate::BlockDocument), (schemas, Fate::BlockSchema)]).await
            }
            Some(Subject::BlockSchema(id)) => {
                let documents = Range::of_index(Index::Lookup, table::block_documents_of_schema(id));
                self.all([(documents, Fate::BlockDocument)]).await
            }
            Some(Subject::WorkPool(_)) => self.all([(partition.starting_with(table::WORKERS), Fate::Item)]).await,
            _ => Ok(true),
        }
    }

    /// Lets what is in each range meet its fate, page by page; returns whether nothing is left.
    ///
    /// The next step begins anew, so this one goes on until it has made some way, and the time is up.
    async fn all(&self, ranges: impl IntoIterator<Item = (Range, Fate)> + Send) -> Result<bool> {
        // Collected, so that no iterator is held while something is awaited.
        for (range, fate) in ranges.into_iter().collect::<Vec<_>>() {
            let mut reader = self.app.store.read(range, PAGE);
            while let Some(found) = reader.more().await? {
                if self.carry_out(fate, found).await? && Instant::now() >= self.until {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Does to the items of a page what is to become of them; returns whether there was anything to do.
    async fn carry_out(&self, fate: Fate, found: Vec<Item>) -> Result<bool> {
        let store = &self.app.store;
        match fate {
            Fate::Item => {
                let keys: Vec<Key> = found.into_iter().map(|item| item.key).collect();
                store.delete_all(&keys).await?;
            }
            Fate::Run => at_once(runs_among(&found), |run| self.delete_run(run)).await?,
            Fate::Artifact => {
                let delete = |id| async move { store.delete_artifact(id, Timestamp::now()).await.map(drop) };
                at_once(artifacts_among(&found), delete).await?;
            }
            Fate::Deployment => {
                let mut keys = Vec::new();
                for item in &found {
                    let deployment: Deployment = item.record()?;
                    keys.push(item.key.clone());
                    keys.push(table::unique_deployment_name(deployment.flow_id, &deployment.name));
                }
                store.delete_all(&keys).await?;
            }
            Fate::Leave(queue) => {
                at_once(found, |item| async move { store.leave_work_queue(&item.key, queue).await }).await?;
            }
            Fate::BlockSchema => at_once(block_schemas_among(&found), |id| self.delete_block_schema(id)).await?,
            Fate::BlockDocument => {
                let remove = |id| async move { store.remove::<BlockDocument>(id).await };
                at_once(block_documents_among(&found), remove).await?;
            }
            Fate::UnstartedRun(deployment) => {
                let keys: Vec<Key> = found.into_iter().map(|item| item.key).collect();
                // The index may lag behind a run that has started.
                let runs = store.get_many::<FlowRun>(&keys).await?.into_iter().map(|found| found.record);
                let doomed = runs.filter(|run| goes_with(deployment, run)).map(|run| Run::Unstarted(run.id));
                let doomed: Vec<Run> = doomed.collect();
                let has_some = !doomed.is_empty();
                at_once(doomed, |run| self.delete_run(run)).await?;
                return Ok(has_some);
            }
        }
        Ok(true)
    }

    /// Says whether what belonged to a record is removed with it, and not by the stream's consumer.
    fn goes_further(&self) -> bool {
        self.extent == Extent::Visible && Instant::now() < self.until
    }

    async fn delete_block_schema(&self, id: BlockSchemaId) -> Result<()> {
        self.app.store.remove::<BlockSchema>(id).await?;
        if self.goes_further() {
            Box::pin(self.is_done(&table::block_schema(id))).await?;
        }
        Ok(())
    }

    async fn delete_run(&self, run: Run) -> Result<()> {
        let (app, longest) = (self.app, self.app.settings.longest_waits);
        match run {
            Run::Flow(id) => {
                app.store.delete_flow_run(id, app.now(), longest).await?;
                if self.goes_further() {
                    Box::pin(self.is_done(&table::flow_run(id))).await?;
                }
                Ok(())
            }
            Run::Unstarted(id) => {
                app.store.delete_flow_run(id, app.now(), longest).await?;
                if self.goes_further() {
                    // Nothing ran within it, so that no shard need be asked for its task runs.
                    Box::pin(self.all([(Range::partition(table::flow_run(id).pk), Fate::Item)])).await?;
                }
                Ok(())
            }
            Run::Task(id) => app.store.delete_task_run(id, app.now(), longest).await.map(drop),
        }
    }
}

/// Does `work` on each of `these`, some at a time.
async fn at_once<T, Work: Future<Output = Result<()>>>(these: Vec<T>, work: impl Fn(T) -> Work) -> Result<()> {
    stream::iter(these).map(work).buffer_unordered(DELETIONS_AT_ONCE).try_collect().await
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
    /// A flow run that never ran.
    Unstarted(FlowRunId),
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

fn block_schemas_among(items: &[Item]) -> Vec<BlockSchemaId> {
    let schema = |item: &Item| match Subject::of(&item.key)? {
        Subject::BlockSchema(id) => Some(id),
        _ => None,
    };
    items.iter().filter_map(schema).collect()
}

fn block_documents_among(items: &[Item]) -> Vec<BlockDocumentId> {
    let document = |item: &Item| match Subject::of(&item.key)? {
        Subject::BlockDocument(id) => Some(id),
        _ => None,
    };
    items.iter().filter_map(document).collect()
}
