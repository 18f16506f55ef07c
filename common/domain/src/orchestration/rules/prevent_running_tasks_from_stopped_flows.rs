use crate::{
    model::{StateType, TaskRun},
    orchestration::{Attempt, Need, Rule, Ruling, Scope, StateTypes, Transition},
};

/// Runs the tasks of running flows only (Prefect's `PreventRunningTasksFromStoppedFlows`).
///
/// The task run of a paused flow run pauses along with it, until it is resumed.
pub struct PreventRunningTasksFromStoppedFlows;

impl Rule<TaskRun> for PreventRunningTasksFromStoppedFlows {
    fn name(&self) -> &'static str {
        "PreventRunningTasksFromStoppedFlows"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::ALL, to: StateTypes::of(&[StateType::Running]) }
    }

    fn needs(&self, transition: &Transition<TaskRun>) -> Vec<Need> {
        transition.run.flow_run_id.map(Need::FlowRun).into_iter().collect()
    }

    fn before(&self, attempt: &mut Attempt<'_, TaskRun>) -> Ruling {
        let Some(flow_run) = &attempt.transition.facts.flow_run else {
            return Ruling::Pass;
        };
        match &flow_run.state {
            Some(state) if state.r#type == StateType::Running => Ruling::Pass,
            Some(state) if state.r#type == StateType::Paused => {
                let mut not_ready = attempt.state(StateType::Paused).named("NotReady");
                not_ready.state_details.pause_timeout = state.state_details.pause_timeout;
                not_ready.state_details.pause_reschedule = state.state_details.pause_reschedule;
                Ruling::replace(
                    not_ready,
                    format!("The flow is paused, new tasks can execute after resuming flow run: {}.", flow_run.id),
                )
            }
            _ => Ruling::abort("The enclosing flow must be running to begin task execution."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            FlowRunId, State,
            StateType::{Paused, Pending, Running},
        },
        orchestration::{
            EnclosingFlowRun,
            testing::{check_aborts, check_accepts, check_replaces, now, propose, state_at, task_run},
        },
    };

    const RULE: PreventRunningTasksFromStoppedFlows = PreventRunningTasksFromStoppedFlows;

    fn run_in(state: Option<State>) -> Transition<TaskRun> {
        let id = FlowRunId::new();
        let mut transition = propose(TaskRun { flow_run_id: Some(id), ..task_run(Pending) }, Running);
        transition.facts.flow_run = Some(EnclosingFlowRun { id, state, run_count: 1 });
        transition
    }

    #[test]
    fn runs_in_a_running_flow_and_without_one() {
        let transition = run_in(Some(state_at(Running, -5.0)));
        assert_eq!(RULE.needs(&transition), [Need::FlowRun(transition.run.flow_run_id.unwrap())]);
        check_accepts(&RULE, &transition);
        check_accepts(&RULE, &propose(task_run(Pending), Running));
    }

    #[test]
    fn does_not_run_in_a_stopped_flow() {
        let reason = "The enclosing flow must be running to begin task execution.";
        check_aborts(&RULE, &run_in(None), reason);
        for state_type in StateType::ALL.into_iter().filter(|state_type| !matches!(state_type, Running | Paused)) {
            check_aborts(&RULE, &run_in(Some(state_at(state_type, -5.0))), reason);
        }
    }

    #[test]
    fn pauses_along_with_its_flow() {
        let mut paused = state_at(Paused, -5.0);
        paused.state_details.pause_timeout = Some(now());
        paused.state_details.pause_key = Some("first".to_owned());
        let transition = run_in(Some(paused));
        let id = transition.run.flow_run_id.unwrap();
        let reason = format!("The flow is paused, new tasks can execute after resuming flow run: {id}.");
        let plan = check_replaces(&RULE, &transition, (Paused, "NotReady"), &reason);
        let details = &plan.entered().unwrap().state_details;
        assert_eq!((details.pause_timeout, &details.pause_key), (Some(now()), &None));
    }
}
