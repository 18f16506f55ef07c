use crate::{
    model::{StateType, TaskRun},
    orchestration::{Need, Outcome, Rule, Scope, StateTypes, Transition},
};

/// Notes in which execution of its flow run a task run started (Prefect's `UpdateFlowRunTrackerOnTasks`).
///
/// Prefect answers 404 where the flow run has just been deleted, and its task runs with it. Here a
/// deletion reaches them a moment later; until then such a run keeps the note that it has.
pub struct UpdateFlowRunTrackerOnTasks;

impl Rule<TaskRun> for UpdateFlowRunTrackerOnTasks {
    fn name(&self) -> &'static str {
        "UpdateFlowRunTrackerOnTasks"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::ALL, to: StateTypes::of(&[StateType::Running]) }
    }

    fn needs(&self, transition: &Transition<TaskRun>) -> Vec<Need> {
        transition.run.flow_run_id.map(Need::FlowRun).into_iter().collect()
    }

    fn after(&self, outcome: &mut Outcome<'_, TaskRun>) {
        if let Some(flow_run) = &outcome.transition.facts.flow_run {
            outcome.run.flow_run_run_count = flow_run.run_count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            FlowRunId,
            StateType::{Pending, Running},
        },
        orchestration::{
            EnclosingFlowRun,
            testing::{check_accepts, propose, task_run},
        },
    };

    #[test]
    fn notes_the_execution_of_the_flow_run() {
        let id = FlowRunId::new();
        let mut transition = propose(TaskRun { flow_run_id: Some(id), ..task_run(Pending) }, Running);
        assert_eq!(UpdateFlowRunTrackerOnTasks.needs(&transition), [Need::FlowRun(id)]);
        transition.facts.flow_run = Some(EnclosingFlowRun { id, state: None, run_count: 4 });
        assert_eq!(check_accepts(&UpdateFlowRunTrackerOnTasks, &transition).run.flow_run_run_count, 4);
    }
}
