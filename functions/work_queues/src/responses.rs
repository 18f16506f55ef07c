//! Work queues as they are answered.

use std::collections::HashMap;

use common::{
    App, Error, Result,
    filter::RunFilters,
    model::{
        StateType, Timestamp, WorkQueue, WorkQueueId,
        work_queue::{QueueFilter, WorkQueueAnswer},
    },
    store::{
        TableAccess, flow_run_query,
        occupancy::{self, Holders},
        work_queues::StoredWorkQueue,
    },
};
use serde_json::json;

/// How Prefect words that there is no such queue.
pub(crate) const NOT_FOUND: &str = "work queue not found";

/// What [`one`], [`all`] and [`occupied`] touch.
pub(crate) const ACCESS: TableAccess = occupancy::SLOTS.and(flow_run_query::COUNT);

/// Returns the answer for `queue`.
pub(crate) async fn one(app: &App, queue: StoredWorkQueue) -> Result<WorkQueueAnswer> {
    let answer = all(app, vec![queue]).await?.pop();
    answer.ok_or_else(|| Error::Internal("a queue has one answer".into()))
}

/// Returns the answers for `queues`, in their order.
pub(crate) async fn all(app: &App, queues: Vec<StoredWorkQueue>) -> Result<Vec<WorkQueueAnswer>> {
    let occupied = occupied(app, queues.iter().map(|kept| &kept.queue)).await?;
    let answer = |kept: StoredWorkQueue| {
        let occupied = occupied.get(&kept.queue.id).copied().unwrap_or_default();
        WorkQueueAnswer::new(kept.queue, Some(kept.pool.name), occupied)
    };
    Ok(queues.into_iter().map(answer).collect())
}

/// Counts the runs that hold slots of those of `queues` that have a limit.
pub(crate) async fn occupied<'q>(
    app: &App,
    queues: impl Iterator<Item = &'q WorkQueue> + Clone,
) -> Result<HashMap<WorkQueueId, u64>> {
    let limited = queues.filter(|queue| queue.concurrency_limit.is_some());
    let plain = limited.clone().filter(|queue| queue.filter.is_none());
    let plain: Vec<WorkQueueId> = plain.map(|queue| queue.id).collect();
    let selecting = limited.filter_map(|queue| Some((queue.id, queue.filter.as_ref()?)));
    let selected = selecting.map(|(id, filter)| async move {
        let active = [StateType::Pending, StateType::Running];
        Ok::<_, Error>((id, app.store.count_flow_runs(&selected_runs(filter, &active, None)?).await?))
    });
    let (mut counts, selected) = tokio::try_join!(
        app.store.occupied_slots(&plain, Holders::ActiveOrCancelling),
        futures::future::try_join_all(selected),
    )?;
    counts.extend(selected);
    Ok(counts)
}

/// Returns what selects the runs of a queue that has the deprecated filter, in states of some types.
///
/// Where a time is given, they are scheduled to start until then.
pub(crate) fn selected_runs(
    filter: &QueueFilter,
    types: &[StateType],
    scheduled_before: Option<Timestamp>,
) -> Result<RunFilters> {
    let flow_runs = serde_json::from_value(json!({
        "tags": {"all_": filter.tags},
        "deployment_id": {"any_": filter.deployment_ids, "is_null_": false},
        "state": {"type": {"any_": types}},
        "next_scheduled_start_time": {"before_": scheduled_before},
    }))?;
    Ok(RunFilters { flow_runs: Some(flow_runs), ..RunFilters::default() })
}
