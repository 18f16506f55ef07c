//! The filter of logs.

use serde::{Deserialize, Serialize};

use super::{
    membership::AnyOf,
    operator::Operator,
    text_search::TextSearch,
    time::{TimeBounds, TimeFilter},
};
use crate::model::{FlowRunId, Log, TaskRunId};

/// A filter object on a log line's severity (contract schema `LogFilterLevel`); both limits are inclusive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogLevelFilter {
    /// The lowest level to include.
    #[serde(rename = "ge_")]
    pub ge: Option<i64>,
    /// The highest level to include.
    #[serde(rename = "le_")]
    pub le: Option<i64>,
}

/// A filter object on a log line's task run (contract schema `LogFilterTaskRunId`); both clauses must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogTaskRunFilter {
    /// The task runs whose lines to include.
    #[serde(rename = "any_")]
    pub any: Option<Vec<TaskRunId>>,
    /// Whether the line must have no task run (`true`) or one (`false`).
    #[serde(rename = "is_null_")]
    pub is_null: Option<bool>,
}

/// A filter object on a log line's text (contract schema `LogFilterTextSearch`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSearchFilter {
    /// The query, of at most 200 characters: words, quoted phrases, and the prefixes `-`, `!` and `+`.
    pub query: String,
}

/// Filters logs (contract schema `LogFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogFilter {
    /// How the clauses combine; the included, excluded and required terms of `text` are a clause each.
    pub operator: Operator,
    /// On the severity.
    pub level: Option<LogLevelFilter>,
    /// On when the line was written.
    pub timestamp: Option<TimeFilter>,
    /// On the flow run that wrote the line.
    pub flow_run_id: Option<AnyOf<FlowRunId>>,
    /// On the task run that wrote the line.
    pub task_run_id: Option<LogTaskRunFilter>,
    /// On the message and the logger's name, joined by a space.
    pub text: Option<TextSearchFilter>,
}

impl LogFilter {
    /// Tells whether the filter selects `log`.
    pub fn matches(&self, log: &Log) -> bool {
        let task_run = log.task_run_id;
        let [included, excluded, required] = self.text.as_ref().map_or([None; 3], |filter| {
            TextSearch::parse(&filter.query).clauses(&format!("{} {}", log.message, log.name))
        });
        self.operator.combine([
            self.level.as_ref().map(|filter| {
                filter.ge.is_none_or(|limit| log.level >= limit) && filter.le.is_none_or(|limit| log.level <= limit)
            }),
            self.timestamp.as_ref().map(|filter| filter.matches(Some(log.timestamp))),
            self.flow_run_id.as_ref().map(|filter| filter.matches(log.flow_run_id.as_ref())),
            self.task_run_id.as_ref().map(|filter| {
                filter.any.as_ref().is_none_or(|ids| task_run.is_some_and(|id| ids.contains(&id)))
                    && filter.is_null.is_none_or(|null| null == task_run.is_none())
            }),
            included,
            excluded,
            required,
        ])
    }

    /// Returns the flow runs of which every match has one.
    pub fn flow_run_ids(&self) -> Option<&[FlowRunId]> {
        self.bound(self.flow_run_id.as_ref()?.any.as_deref())
    }

    /// Returns the task runs of which every match has one.
    pub fn task_run_ids(&self) -> Option<&[TaskRunId]> {
        self.bound(self.task_run_id.as_ref()?.any.as_deref())
    }

    /// Returns the limits that every match's level keeps.
    pub fn level_bounds(&self) -> Option<&LogLevelFilter> {
        self.bound(self.level.as_ref())
    }

    /// Returns the limits that every match's timestamp keeps.
    pub fn timestamp_bounds(&self) -> Option<TimeBounds> {
        self.bound(self.timestamp.as_ref()?.bounds())
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        let present = [
            self.level.is_some(),
            self.timestamp.is_some(),
            self.flow_run_id.is_some(),
            self.task_run_id.is_some(),
            self.text.is_some(),
        ];
        self.operator.bound(&present, bound)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{LogId, Timestamp};

    fn log() -> Log {
        let now = Timestamp::now();
        let id = LogId::new();
        let document = json!({
            "id": id, "created": now, "updated": now, "name": "prefect.flow_runs", "level": 20,
            "message": "Connection refused", "timestamp": now, "flow_run_id": FlowRunId::new(),
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn follows_the_truth_table() {
        let table = [
            (json!({}), true),
            (json!({"level": {"ge_": 20, "le_": 20}}), true),
            (json!({"level": {"ge_": 21}}), false),
            (json!({"level": {"le_": 19}}), false),
            (json!({"flow_run_id": {"any_": []}}), false),
            (json!({"task_run_id": {"is_null_": true}}), true),
            (json!({"task_run_id": {"any_": [TaskRunId::new()], "is_null_": true}}), false),
            (json!({"text": {"query": "refused prefect.flow"}}), true),
            (json!({"text": {"query": "\"refused prefect\""}}), true),
            (json!({"text": {"query": "-refused"}}), false),
            (json!({"text": {"query": "connection -refused"}}), false),
            (json!({"text": {"query": "connection -refused"}, "operator": "or_"}), true),
            (json!({"text": {"query": ""}, "level": {"ge_": 50}, "operator": "or_"}), false),
        ];
        for (filter, expected) in table {
            let parsed: LogFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.matches(&log()), expected, "{filter}");
        }
    }

    #[test]
    fn a_text_is_an_alternative_to_a_bound() {
        let id = FlowRunId::new();
        let parse = |filter| serde_json::from_value::<LogFilter>(filter).unwrap();
        let both = json!({"flow_run_id": {"any_": [id]}, "text": {"query": "x"}, "operator": "or_"});
        assert_eq!(parse(both).flow_run_ids(), None);
        assert_eq!(parse(json!({"flow_run_id": {"any_": [id]}})).flow_run_ids(), Some([id].as_slice()));
    }
}
