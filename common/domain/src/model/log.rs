//! Logs: the lines that flow and task runs write.

use serde::{Deserialize, Serialize};

use super::{FlowRunId, TaskRunId, Timestamp, id::typed_id};

typed_id! {
    /// The id of a log line.
    LogId
}

/// A log line as a client sends it (contract schema `LogCreate`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogCreate {
    /// The name of the logger.
    pub name: String,
    /// The severity by Python's scale, 20 for information and 40 for errors.
    pub level: i64,
    /// The text.
    pub message: String,
    /// When the line was written, by the sender's clock.
    pub timestamp: Timestamp,
    /// The flow run that wrote the line.
    #[serde(default)]
    pub flow_run_id: Option<FlowRunId>,
    /// The task run that wrote the line.
    #[serde(default)]
    pub task_run_id: Option<TaskRunId>,
}

impl LogCreate {
    /// Removes NULs from the texts.
    ///
    /// Prefect removes them because `PostgreSQL` can't store them, and so on every database.
    #[must_use]
    pub fn without_nuls(mut self) -> Self {
        self.name.retain(|character| character != '\0');
        self.message.retain(|character| character != '\0');
        self
    }
}

/// A log line (contract schema `Log`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// The line's id.
    pub id: LogId,
    /// When the line was received.
    pub created: Timestamp,
    /// When the line was last changed, which is when it was received.
    pub updated: Timestamp,
    /// The name of the logger.
    pub name: String,
    /// The severity by Python's scale, 20 for information and 40 for errors.
    pub level: i64,
    /// The text.
    pub message: String,
    /// When the line was written, by the sender's clock.
    pub timestamp: Timestamp,
    /// The flow run that wrote the line.
    #[serde(default)]
    pub flow_run_id: Option<FlowRunId>,
    /// The task run that wrote the line.
    #[serde(default)]
    pub task_run_id: Option<TaskRunId>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn removes_nuls() {
        let sent = json!({"name": "a\0b", "level": 20, "message": "\0", "timestamp": "2026-01-31T09:30:00Z"});
        let line: LogCreate = serde_json::from_value(sent).unwrap();
        let kept = line.without_nuls();
        assert_eq!((kept.name.as_str(), kept.message.as_str()), ("ab", ""));
    }
}
