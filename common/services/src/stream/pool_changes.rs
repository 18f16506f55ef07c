//! Tells the workers that are connected what has become of their pools (Prefect's `WorkerChannelSnapshotInvalidation`).

use domain::model::work_pool::StoredWorkPool;
use store::{Item, table::Subject};

use super::Change;
use crate::{App, live::PoolChange};

/// Tells of the pools among `changes` that were deleted, or changed in what workers go by.
pub(super) fn tell(app: &App, changes: &[Change]) {
    for Change { key, before, after } in changes {
        let Some(Subject::WorkPool(pool)) = Subject::of(key) else { continue };
        if !app.live.worker_channels.serve(pool) {
            continue;
        }
        let Some(after) = after else {
            app.live.worker_channels.tell_of_pool(pool, PoolChange::Deleted);
            continue;
        };
        let before = before.as_ref().and_then(Item::readable::<StoredWorkPool>);
        let now = after.readable::<StoredWorkPool>();
        if let (Some(before), Some(now)) = (before, now)
            && concerns_workers(&before, &now)
        {
            app.live.worker_channels.tell_of_pool(pool, PoolChange::Changed(after.version));
        }
    }
}

/// Tells whether workers are told of a change; of others, such as that of the description, they hear with a heartbeat.
fn concerns_workers(before: &StoredWorkPool, after: &StoredWorkPool) -> bool {
    let (before, after) = (&before.pool, &after.pool);
    before.base_job_template != after.base_job_template
        || before.concurrency_limit != after.concurrency_limit
        || before.is_paused != after.is_paused
        || before.storage_configuration != after.storage_configuration
}
