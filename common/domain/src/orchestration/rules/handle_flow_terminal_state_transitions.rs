use std::collections::BTreeSet;

use crate::{
    model::{FlowRun, RetryType, StateType},
    orchestration::{Attempt, Outcome, Rule, Ruling, Scope, StateTypes, rules::prevent_result_data_loss},
};

/// Guards the states that end a flow run (Prefect's `HandleFlowTerminalStateTransitions`).
///
/// A run that has ended can't be cancelled, paused or said to have crashed; one that completed with a
/// persisted result does not run again; one without a deployment can't be scheduled again, since nothing
/// would pick it up. A run that leaves its end forgets its pauses, so that they fire again.
pub struct HandleFlowTerminalStateTransitions;

impl Rule<FlowRun> for HandleFlowTerminalStateTransitions {
    fn name(&self) -> &'static str {
        "HandleFlowTerminalStateTransitions"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::TERMINAL, to: StateTypes::ALL }
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        let Some(initial) = attempt.initial() else {
            return Ruling::Pass;
        };
        let target = attempt.proposed.r#type;
        if matches!(target, StateType::Cancelling | StateType::Paused | StateType::Crashed) {
            return Ruling::abort(format!("Run is already in terminal state {}.", initial.r#type));
        }
        if !target.is_terminal() && prevent_result_data_loss::is_completed_with_result(initial) {
            return Ruling::reject("Run is already COMPLETED.");
        }
        if prevent_result_data_loss::loses_result(initial, attempt.proposed) {
            return Ruling::reject(prevent_result_data_loss::REASON);
        }
        if target == StateType::Scheduled && attempt.run.deployment_id.is_none() {
            return Ruling::abort("Cannot reschedule a run without an associated deployment.");
        }
        if !target.is_terminal() && attempt.transition.client.knows_pauses() {
            let policy = &mut attempt.run.empirical_policy;
            policy.resuming = Some(false);
            policy.pause_keys = Some(BTreeSet::new());
            policy.retry_type = (target == StateType::Scheduled).then_some(RetryType::Reschedule);
        }
        Ruling::Pass
    }

    fn clean_up(&self, outcome: &mut Outcome<'_, FlowRun>) {
        outcome.run.empirical_policy = outcome.transition.run.empirical_policy.clone();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        model::{
            DeploymentId, FlowRunPolicy,
            StateType::{Cancelling, Completed, Crashed, Failed, Paused, Pending, Running, Scheduled},
        },
        orchestration::testing::{check_aborts, check_accepts, check_rejects, flow_run, propose},
    };

    const RULE: HandleFlowTerminalStateTransitions = HandleFlowTerminalStateTransitions;

    fn completed_with(data: Value) -> FlowRun {
        let mut run = flow_run(Completed);
        run.state.as_mut().unwrap().data = Some(data);
        run
    }

    #[test]
    fn does_not_stop_a_run_that_has_ended() {
        for target in [Cancelling, Paused, Crashed] {
            check_aborts(&RULE, &propose(flow_run(Failed), target), "Run is already in terminal state FAILED.");
        }
    }

    #[test]
    fn protects_a_persisted_result() {
        let run = completed_with(json!({"type": "reference"}));
        check_rejects(&RULE, &propose(run.clone(), Running), "Run is already COMPLETED.");
        check_rejects(&RULE, &propose(run.clone(), Completed), prevent_result_data_loss::REASON);
        check_accepts(&RULE, &propose(run, Failed));
    }

    #[test]
    fn runs_again_without_a_persisted_result() {
        check_accepts(&RULE, &propose(flow_run(Completed), Running));
        check_accepts(&RULE, &propose(completed_with(json!({})), Running));
        check_accepts(&RULE, &propose(completed_with(json!("text")), Running));
    }

    #[test]
    fn schedules_again_with_a_deployment_only() {
        let reason = "Cannot reschedule a run without an associated deployment.";
        check_aborts(&RULE, &propose(flow_run(Failed), Scheduled), reason);
        let run = FlowRun { deployment_id: Some(DeploymentId::new()), ..flow_run(Failed) };
        let plan = check_accepts(&RULE, &propose(run, Scheduled));
        assert_eq!(plan.run.empirical_policy.retry_type, Some(RetryType::Reschedule));
    }

    #[test]
    fn forgets_the_pauses_of_a_run_that_runs_again() {
        let empirical_policy = FlowRunPolicy {
            pause_keys: Some(["first".to_owned()].into()),
            resuming: Some(true),
            retry_type: Some(RetryType::InProcess),
            ..FlowRunPolicy::default()
        };
        let run = FlowRun { empirical_policy, ..flow_run(Failed) };
        let plan = check_accepts(&RULE, &propose(run, Pending));
        assert_eq!(plan.run.empirical_policy, FlowRunPolicy::default());
    }
}
