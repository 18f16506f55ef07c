//! What goes with a record that was deleted.
//!
//! The oracle's database deletes it in the same transaction; here the stream's consumer does, in steps that may be
//! repeated: each finds what is still there. A deleted run is a change of its own, so a flow takes its runs along, and
//! each of them what belongs to it.

use futures::{StreamExt, TryStreamExt, stream};

use super::Failures;
use crate::{
    api::Api,
    error::Result,
    model::{FlowId, FlowRunId, TaskRunId},
    store::{
        Item, Key, Store,
        query::Range,
        table::{self, Index, Subject},
    },
};

/// How many runs are deleted at the same time.
const DELETIONS_AT_ONCE: usize = 8;

/// How many items of a partition one step deletes.
const STEP: usize = 500;

/// Deletes what belonged to the records under the keys `removed`.
pub(super) async fn remove(api: &Api, removed: &[(usize, &Key)], failures: &mut Failures) {
    for (place, key) in removed {
        let outcome = match Subject::of(key) {
            Some(Subject::Flow(id)) => remove_runs_of_flow(&api.store, id).await,
            Some(Subject::FlowRun(id)) => remove_rest_of_flow_run(&api.store, id).await,
            Some(Subject::TaskRun(id)) => remove_rest_of_task_run(&api.store, id).await,
            Some(Subject::DeletedFlow(_) | Subject::Event(_)) | None => Ok(()),
        };
        if let Err(error) = outcome {
            failures.add(*place, error);
        }
    }
}

async fn remove_runs_of_flow(store: &Store, id: FlowId) -> Result<()> {
    let mut runs = store.read(Range::of_index(Index::ByParent, table::runs_of_flow(id)), STEP);
    while let Some(found) = runs.next().await? {
        stream::iter(subjects(&found))
            .map(|subject| delete(store, subject))
            .buffer_unordered(DELETIONS_AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

fn subjects(items: &[Item]) -> Vec<Subject> {
    items.iter().filter_map(|item| Subject::of(&item.key)).collect()
}

/// Deletes a run that belonged to what was deleted; what belongs to it follows in a change of its own.
async fn delete(store: &Store, subject: Subject) -> Result<()> {
    match subject {
        Subject::FlowRun(id) => store.delete_flow_run(id).await.map(drop),
        Subject::TaskRun(id) => store.delete_task_run(id).await.map(drop),
        Subject::Flow(_) | Subject::DeletedFlow(_) | Subject::Event(_) => Ok(()),
    }
}

async fn remove_rest_of_flow_run(store: &Store, id: FlowRunId) -> Result<()> {
    // A change is told at least once: by now there may be a new run under the same id.
    if store.get_item(&table::flow_run(id)).await?.is_some() {
        return Ok(());
    }
    let mut task_runs = store.read(Range::of_index(Index::ByParent, table::runs_in_flow_run(id)), STEP);
    while let Some(found) = task_runs.next().await? {
        stream::iter(subjects(&found))
            .map(|subject| delete(store, subject))
            .buffer_unordered(DELETIONS_AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
    store.delete_logs_of(id).await?;
    remove_partition(store, table::flow_run(id).pk).await
}

async fn remove_rest_of_task_run(store: &Store, id: TaskRunId) -> Result<()> {
    if store.get_item(&table::task_run(id)).await?.is_some() {
        return Ok(());
    }
    store.delete_logs_of_task_run(id).await?;
    remove_partition(store, table::task_run(id).pk).await
}

async fn remove_partition(store: &Store, pk: String) -> Result<()> {
    let mut items = store.read(Range::partition(pk), STEP);
    while let Some(found) = items.next().await? {
        let keys: Vec<Key> = found.into_iter().map(|item| item.key).collect();
        store.delete_all(&keys).await?;
    }
    Ok(())
}
