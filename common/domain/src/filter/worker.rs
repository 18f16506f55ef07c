//! The filter of workers.

use serde::{Deserialize, Serialize};

use super::{membership::AnyOrNotAny, operator::Operator, time::TimeFilter};
use crate::model::{Worker, worker::WorkerStatus};

/// Filters workers (contract schema `WorkerFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the time of the last heartbeat.
    pub last_heartbeat_time: Option<TimeFilter>,
    /// On the worker's status.
    pub status: Option<AnyOrNotAny<WorkerStatus>>,
}

impl WorkerFilter {
    /// Tells whether the filter selects `worker`.
    pub fn matches(&self, worker: &Worker) -> bool {
        self.operator.combine([
            self.last_heartbeat_time.as_ref().map(|filter| filter.matches(Some(worker.last_heartbeat_time))),
            self.status.as_ref().map(|filter| filter.matches(Some(&worker.status))),
        ])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{WorkPoolId, WorkerId};

    #[test]
    fn follows_the_truth_table() {
        let time = "2026-01-01T00:00:00Z";
        let document = json!({
            "id": WorkerId::new(), "created": time, "updated": time, "name": "w", "work_pool_id": WorkPoolId::new(),
            "last_heartbeat_time": time, "status": "ONLINE",
        });
        let worker: Worker = serde_json::from_value(document).unwrap();
        let table = [
            (json!({}), true),
            (json!({"status": {"any_": ["ONLINE"]}}), true),
            (json!({"status": {"not_any_": ["ONLINE"]}}), false),
            (json!({"status": {"any_": []}}), false),
            (json!({"last_heartbeat_time": {"before_": time, "after_": time}}), true),
            (json!({"last_heartbeat_time": {"after_": "2026-01-01T00:00:01Z"}}), false),
            (json!({"last_heartbeat_time": {"after_": "2026-01-01T00:00:01Z"}, "status": {}, "operator": "or_"}), true),
        ];
        for (filter, expected) in table {
            let parsed: WorkerFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.matches(&worker), expected, "{filter}");
        }
    }
}
