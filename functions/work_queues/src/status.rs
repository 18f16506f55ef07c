//! `GET /work_queues/{id}/status`: says whether a work queue is polled and its runs are on time.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route, extract::Id},
    model::{Timestamp, WorkQueueId},
    store::waiting_runs,
};
use serde::Serialize;

/// The contract's `read_work_queue_status`.
pub static ROUTE: Route =
    Route::get("read_work_queue_status", "/work_queues/{id}/status", || get(read)).accessing(waiting_runs::IN_QUEUES);

/// When a queue counts as healthy: the one policy there is, as Prefect.
const POLICY: HealthPolicy = HealthPolicy { maximum_late_runs: 0, maximum_seconds_since_last_polled: 60 };

/// The answer (contract schema `WorkQueueStatusDetail`).
#[derive(Debug, Serialize)]
struct StatusDetail {
    healthy: bool,
    late_runs_count: u64,
    last_polled: Option<Timestamp>,
    health_check_policy: HealthPolicy,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct HealthPolicy {
    maximum_late_runs: u64,
    maximum_seconds_since_last_polled: u32,
}

impl HealthPolicy {
    fn is_met(self, late_runs: u64, last_polled: Option<Timestamp>, now: Timestamp) -> bool {
        let longest = f64::from(self.maximum_seconds_since_last_polled);
        late_runs <= self.maximum_late_runs && last_polled.is_some_and(|polled| now.seconds_since(polled) <= longest)
    }
}

async fn read(State(app): State<App>, Path(path): Path<Id<WorkQueueId>>) -> Result<Json<StatusDetail>> {
    let no_queue = || Error::NoSuchRun(format!("Work queue with id {} not found", path.id));
    let found = app.store.work_queue(path.id).await?.ok_or_else(no_queue)?;
    let (now, last_polled) = (app.now(), found.record.queue.last_polled);
    let late_runs_count = app.store.count_late_runs(path.id, now).await?;
    Ok(Json(StatusDetail {
        healthy: POLICY.is_met(late_runs_count, last_polled, now),
        late_runs_count,
        last_polled,
        health_check_policy: POLICY,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_healthy_queue_is_polled_and_on_time() {
        let now = Timestamp::now();
        let table = [(0, Some(60.0), true), (0, Some(61.0), false), (0, None, false), (1, Some(0.0), false)];
        for (late, polled_before, healthy) in table {
            let polled = polled_before.map(|seconds: f64| now.plus_seconds(-seconds));
            assert_eq!(POLICY.is_met(late, polled, now), healthy, "{late} {polled_before:?}");
        }
    }
}
