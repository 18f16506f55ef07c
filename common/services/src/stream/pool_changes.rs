//! Tells the workers that are connected what has become of their pools (Prefect's `WorkerChannelSnapshotInvalidation`).

use domain::model::work_pool::StoredWorkPool;
use store::table::Subject;

use super::Change;
use crate::{App, live::PoolChange};

/// Tells of the pools among `changes` that were deleted, or changed in what workers go by.
pub(super) fn tell(app: &App, changes: &[Change]) {
    for change in changes {
        let Some(Subject::WorkPool(pool)) = Subject::of(&change.key) else { continue };
        if app.live.worker_channels.serve(pool)
            && let Some(change) = of_pool(change)
        {
            app.live.worker_channels.tell_of_pool(pool, change);
        }
    }
}

/// Returns what has become of a pool that was written or deleted, if that concerns workers.
pub(super) fn of_pool(Change { before, after, .. }: &Change) -> Option<PoolChange> {
    let Some(after) = after else { return Some(PoolChange::Deleted) };
    let (before, now) = (before.as_ref()?.readable::<StoredWorkPool>()?, after.readable::<StoredWorkPool>()?);
    concerns_workers(&before, &now).then_some(PoolChange::Changed(after.version))
}

/// Tells whether workers are told of a change; of others, such as that of the description, they hear with a heartbeat.
fn concerns_workers(before: &StoredWorkPool, after: &StoredWorkPool) -> bool {
    let (before, after) = (&before.pool, &after.pool);
    before.base_job_template != after.base_job_template
        || before.concurrency_limit != after.concurrency_limit
        || before.is_paused != after.is_paused
        || before.storage_configuration != after.storage_configuration
}
