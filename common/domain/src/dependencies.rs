//! What the task runs of a flow run depend on: the first generation of its graph (contract schema `DependencyResult`).

use std::collections::HashSet;

use serde::Serialize;

use crate::model::{RunInput, Seconds, State, TaskRun, TaskRunId, Timestamp};

/// A task run and the task runs that its inputs come from (contract schema `DependencyResult`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dependency {
    id: TaskRunId,
    name: String,
    upstream_dependencies: Vec<RunInput>,
    state: Option<State>,
    expected_start_time: Option<Timestamp>,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    total_run_time: Seconds,
    estimated_run_time: Seconds,
    untrackable_result: bool,
}

impl Dependency {
    /// Returns what `run` depends on, as it is at `now`, each task run once.
    ///
    /// Inputs from elsewhere (parameters, constants, flow runs) have no place in the answer; Prefect breaks down on them.
    pub fn of(run: TaskRun, now: Timestamp) -> Self {
        let mut seen = HashSet::new();
        let inputs = run.task_inputs.values().flatten();
        let upstream_dependencies =
            inputs.filter(|input| matches!(input, RunInput::TaskRun { id } if seen.insert(*id))).cloned().collect();
        Self {
            id: run.id,
            estimated_run_time: run.estimated_run_time(now),
            upstream_dependencies,
            expected_start_time: run.expected_start_time,
            start_time: run.start_time,
            end_time: run.end_time,
            total_run_time: run.total_run_time,
            untrackable_result: run.state.as_ref().is_some_and(|state| state.state_details.untrackable_result),
            name: run.name,
            state: run.state,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_each_task_run_once_and_nothing_else() {
        let now = Timestamp::now();
        let mut run = TaskRun::new(TaskRunId::new(), "add", "0", "add-0", now);
        let (one, other) = (TaskRunId::new(), TaskRunId::new());
        let input = |id| json!({"input_type": "task_run", "id": id});
        let inputs = json!({
            "x": [input(one), {"input_type": "constant", "type": "int"}],
            "y": [input(other), input(one), {"input_type": "parameter", "name": "p"}],
        });
        run.task_inputs = serde_json::from_value(inputs).unwrap();
        let dependency = serde_json::to_value(Dependency::of(run, now)).unwrap();
        assert_eq!(dependency["upstream_dependencies"], json!([input(one), input(other)]));
    }
}
