use crate::{
    model::{StateType, TaskRun},
    orchestration::{
        Attempt, Need, Outcome, Rule, Ruling, Scope, StateTypes, Transition,
        rules::prevent_result_data_loss::is_completed_with_result,
    },
};

/// Guards the states that end a task run (Prefect's `HandleTaskTerminalStateTransitions`).
///
/// A run that has ended can't be cancelled, paused or said to have crashed, and one that completed with a
/// persisted result stays as it is. A run that leaves its end has all its retries again, as it must when its
/// flow run is retried; then its running state is called `Retrying`.
pub struct HandleTaskTerminalStateTransitions;

impl Rule<TaskRun> for HandleTaskTerminalStateTransitions {
    fn name(&self) -> &'static str {
        "HandleTaskTerminalStateTransitions"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::TERMINAL, to: StateTypes::ALL }
    }

    fn needs(&self, transition: &Transition<TaskRun>) -> Vec<Need> {
        if transition.proposed.r#type == StateType::Running {
            transition.run.flow_run_id.map(Need::FlowRun).into_iter().collect()
        } else {
            Vec::new()
        }
    }

    fn before(&self, attempt: &mut Attempt<'_, TaskRun>) -> Ruling {
        let Some(initial) = attempt.initial() else {
            return Ruling::Pass;
        };
        let target = attempt.proposed.r#type;
        if matches!(target, StateType::Cancelling | StateType::Paused | StateType::Crashed) {
            return Ruling::abort(format!("Run is already {}.", initial.r#type));
        }
        if is_completed_with_result(initial) {
            return Ruling::reject("This run is already completed.");
        }
        if !target.is_terminal() {
            attempt.run.run_count = 0;
        }
        if let Some(flow_run) = &attempt.transition.facts.flow_run
            && target == StateType::Running
            && attempt.run.flow_run_run_count < flow_run.run_count
        {
            "Retrying".clone_into(&mut attempt.proposed.name);
        }
        Ruling::Pass
    }

    fn clean_up(&self, outcome: &mut Outcome<'_, TaskRun>) {
        outcome.run.run_count = outcome.transition.run.run_count;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        model::{
            FlowRunId,
            StateType::{Cancelled, Cancelling, Completed, Crashed, Failed, Paused, Pending, Running, Scheduled},
        },
        orchestration::{
            EnclosingFlowRun, decide,
            policy::CORE_TASK_POLICY,
            testing::{check_aborts, check_accepts, check_rejects, propose, state_at, task_run},
        },
    };

    const RULE: HandleTaskTerminalStateTransitions = HandleTaskTerminalStateTransitions;

    #[test]
    fn does_not_stop_a_run_that_has_ended() {
        for target in [Cancelling, Paused, Crashed] {
            check_aborts(&RULE, &propose(task_run(Cancelled), target), "Run is already CANCELLED.");
        }
    }

    #[test]
    fn protects_a_persisted_result() {
        let mut run = task_run(Completed);
        run.state.as_mut().unwrap().data = Some(json!({"type": "reference"}));
        for target in [Running, Completed, Failed] {
            check_rejects(&RULE, &propose(run.clone(), target), "This run is already completed.");
        }
        run.state.as_mut().unwrap().data = Some(json!([1]));
        check_accepts(&RULE, &propose(run, Running));
    }

    #[test]
    fn gives_back_all_retries() {
        let run = TaskRun { run_count: 3, ..task_run(Failed) };
        assert_eq!(check_accepts(&RULE, &propose(run.clone(), Scheduled)).run.run_count, 0);
        assert_eq!(check_accepts(&RULE, &propose(run.clone(), Running)).run.run_count, 1);
        assert_eq!(check_accepts(&RULE, &propose(run, Completed)).run.run_count, 3);
    }

    #[test]
    fn is_retrying_when_the_flow_run_is() {
        let flow_run_id = FlowRunId::new();
        let run = TaskRun { flow_run_id: Some(flow_run_id), flow_run_run_count: 1, ..task_run(Failed) };
        let mut transition = propose(run, Running);
        assert_eq!(RULE.needs(&transition), [Need::FlowRun(flow_run_id)]);
        for (run_count, name) in [(1, "Running"), (2, "Retrying")] {
            transition.facts.flow_run =
                Some(EnclosingFlowRun { id: flow_run_id, state: Some(state_at(Running, -5.0)), run_count });
            assert_eq!(check_accepts(&RULE, &transition).run.state_name.as_deref(), Some(name));
        }
    }

    #[test]
    fn keeps_the_run_count_when_the_run_is_turned_down() {
        let flow_run_id = FlowRunId::new();
        let run = TaskRun { flow_run_id: Some(flow_run_id), run_count: 3, ..task_run(Failed) };
        let mut transition = propose(run, Running);
        transition.facts.flow_run =
            Some(EnclosingFlowRun { id: flow_run_id, state: Some(state_at(Pending, -5.0)), run_count: 1 });
        let plan = decide(&CORE_TASK_POLICY, &transition);
        assert_eq!((plan.entered(), plan.run.run_count, plan.is_changed), (None, 3, false));
    }
}
