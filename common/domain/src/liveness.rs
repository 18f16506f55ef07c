//! How long workers, queues and deployments count as alive after they were heard of (Prefect's foreman).
//!
//! Who sends a heartbeat or a poll is heard of all the time, and the server acts only on silence. So the timer of a
//! worker or queue is set once and left where it is; when it is fired and there was a sign of life since, it is set anew.
//! That costs a write each time-out, and none for a heartbeat.

use crate::model::{Timestamp, WorkQueue, Worker, work_queue::WorkQueueStatus, worker::WorkerStatus};

/// When silence counts (Prefect's settings `PREFECT_SERVER_SERVICES_FOREMAN_…`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Liveness {
    /// Whether the server acts on silence at all (`…_ENABLED`).
    pub enabled: bool,
    /// How many heartbeats a worker may miss (`…_INACTIVITY_HEARTBEAT_MULTIPLE`).
    pub missed_heartbeats: f64,
    /// The seconds between heartbeats of a worker that doesn't tell (`…_FALLBACK_HEARTBEAT_INTERVAL_SECONDS`).
    pub heartbeat_interval: f64,
    /// For how many seconds a queue is ready after it was polled (`…_WORK_QUEUE_LAST_POLLED_TIMEOUT_SECONDS`).
    pub queue_timeout: f64,
    /// For how many seconds a deployment is ready after it was polled (`…_DEPLOYMENT_LAST_POLLED_TIMEOUT_SECONDS`).
    pub deployment_timeout: f64,
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            enabled: true,
            missed_heartbeats: 3.0,
            heartbeat_interval: 30.0,
            queue_timeout: 60.0,
            deployment_timeout: 60.0,
        }
    }
}

impl Liveness {
    /// Returns when `worker` goes offline unless there is another heartbeat; nothing if it is offline.
    pub fn worker_deadline(&self, worker: &Worker) -> Option<Timestamp> {
        #[allow(clippy::cast_precision_loss, reason = "nobody waits for so long")]
        let interval = worker.heartbeat_interval_seconds.map_or(self.heartbeat_interval, |seconds| seconds as f64);
        let is_watched = self.enabled && worker.status == WorkerStatus::Online;
        is_watched.then(|| worker.last_heartbeat_time.plus_seconds(interval * self.missed_heartbeats))
    }

    /// Returns when `queue` counts as not polled unless it is polled again; nothing if it does already.
    pub fn queue_deadline(&self, queue: &WorkQueue) -> Option<Timestamp> {
        let is_watched = self.enabled && queue.status != WorkQueueStatus::NotReady;
        queue.last_polled.filter(|_| is_watched).map(|polled| polled.plus_seconds(self.queue_timeout))
    }

    /// Returns when a deployment stops to be ready whose runs were last polled for at `polled`.
    pub fn deployment_deadline(&self, polled: Timestamp) -> Option<Timestamp> {
        self.enabled.then(|| polled.plus_seconds(self.deployment_timeout))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{WorkPoolId, WorkQueueId, WorkerId};

    const TIME: &str = "2026-01-01T00:00:00Z";

    #[test]
    fn a_worker_may_miss_three_heartbeats() {
        let document = json!({
            "id": WorkerId::new(), "created": TIME, "updated": TIME, "name": "w", "work_pool_id": WorkPoolId::new(),
            "last_heartbeat_time": TIME, "status": "ONLINE",
        });
        let worker: Worker = serde_json::from_value(document).unwrap();
        let liveness = Liveness::default();
        assert_eq!(liveness.worker_deadline(&worker), "2026-01-01T00:01:30Z".parse().ok());
        let quick = Worker { heartbeat_interval_seconds: Some(2), ..worker.clone() };
        assert_eq!(liveness.worker_deadline(&quick), "2026-01-01T00:00:06Z".parse().ok());
        assert_eq!(liveness.worker_deadline(&Worker { status: WorkerStatus::Offline, ..worker.clone() }), None);
        assert_eq!(Liveness { enabled: false, ..liveness }.worker_deadline(&worker), None);
    }

    #[test]
    fn a_queue_is_ready_for_a_minute_after_a_poll() {
        let document = json!({
            "id": WorkQueueId::new(), "created": TIME, "updated": TIME, "name": "q", "work_pool_id": null,
            "last_polled": TIME, "status": "READY",
        });
        let queue: WorkQueue = serde_json::from_value(document).unwrap();
        assert_eq!(Liveness::default().queue_deadline(&queue), "2026-01-01T00:01:00Z".parse().ok());
        let silent = WorkQueue { status: WorkQueueStatus::NotReady, ..queue.clone() };
        assert_eq!(Liveness::default().queue_deadline(&silent), None);
        assert_eq!(Liveness::default().queue_deadline(&WorkQueue { last_polled: None, ..queue }), None);
    }
}
