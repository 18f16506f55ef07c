use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::{
    model::{FlowRun, InputKey, State, StateType},
    orchestration::{Attempt, Effect, Outcome, Rule, Ruling, Scope, StateTypes, Transition, rule::mint},
};

const NAME: &str = "HandlePausingFlows";

/// Pauses flow runs that are running, each pause once (Prefect's `HandlePausingFlows`).
///
/// A suspended run exits and is scheduled again to be resumed, so it must have a deployment, and no parent
/// that waits for it. The run remembers the keys of the pauses that have fired, since a run that is
/// executed again comes to them again. What was said to an earlier attempt under the keys of the pause is deleted.
pub struct HandlePausingFlows;

impl Rule<FlowRun> for HandlePausingFlows {
    fn name(&self) -> &'static str {
        NAME
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::ALL, to: StateTypes::of(&[StateType::Paused]) }
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        let verb = verb(attempt.proposed);
        let Some(initial) = attempt.initial() else {
            return Ruling::abort(format!("Cannot {verb} flows with no state."));
        };
        if initial.r#type != StateType::Running {
            return Ruling::reject(format!("Cannot {verb} flows that are not currently running."));
        }
        let key = pause_key(attempt.transition);
        if attempt.run.empirical_policy.pause_keys.as_ref().is_some_and(|keys| keys.contains(&key)) {
            return Ruling::reject(format!("This {verb} has already fired."));
        }
        if attempt.proposed.state_details.pause_reschedule {
            if attempt.run.parent_task_run_id.is_some() {
                return Ruling::abort(format!("Cannot {verb} subflows."));
            }
            if attempt.run.deployment_id.is_none() {
                return Ruling::abort(format!("Cannot {verb} flows without a deployment."));
            }
        }
        Ruling::Pass
    }

    fn after(&self, outcome: &mut Outcome<'_, FlowRun>) {
        let key = pause_key(outcome.transition);
        outcome.run.empirical_policy.pause_keys.get_or_insert_default().insert(key);
        // The pause has not fired before on this attempt, so what lies under its keys was said to an earlier one.
        let keyset = outcome.state.as_ref().and_then(|state| state.state_details.run_input_keyset.as_ref());
        let keys = keyset.into_iter().flat_map(IndexMap::values);
        let keys: BTreeSet<InputKey> = keys.filter_map(|key| key.parse().ok()).collect();
        if !keys.is_empty() {
            let flow_run_id = outcome.run.id;
            outcome.emit(Effect::DeleteFlowRunInputs { flow_run_id, keys });
        }
    }
}

/// Returns what the pause is known by; one that the client left without a key is never known again.
fn pause_key(transition: &Transition<FlowRun>) -> String {
    let key = transition.proposed.state_details.pause_key.clone();
    key.unwrap_or_else(|| mint(transition, NAME, "pause key").to_string())
}

/// Returns the verb by which a pause into the state is spoken of.
pub(super) fn verb(state: &State) -> &'static str {
    if state.name == "Suspended" { "suspend" } else { "pause" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            DeploymentId,
            StateType::{Paused, Pending, Running},
            TaskRunId,
        },
        orchestration::testing::{check_aborts, check_accepts, check_rejects, flow_run, propose},
    };

    const RULE: HandlePausingFlows = HandlePausingFlows;

    fn pause(run: FlowRun) -> Transition<FlowRun> {
        let mut transition = propose(run, Paused);
        transition.proposed.state_details.pause_key = Some("first".to_owned());
        transition
    }

    fn suspend(run: FlowRun) -> Transition<FlowRun> {
        let mut transition = pause(run);
        transition.proposed.name = "Suspended".to_owned();
        transition.proposed.state_details.pause_reschedule = true;
        transition
    }

    #[test]
    fn pauses_running_flows_only() {
        check_aborts(&RULE, &pause(flow_run(None)), "Cannot pause flows with no state.");
        check_rejects(&RULE, &pause(flow_run(Pending)), "Cannot pause flows that are not currently running.");
        check_rejects(&RULE, &suspend(flow_run(Pending)), "Cannot suspend flows that are not currently running.");
    }

    #[test]
    fn fires_each_pause_once() {
        let plan = check_accepts(&RULE, &pause(flow_run(Running)));
        assert!(plan.run.empirical_policy.pause_keys.as_ref().unwrap().contains("first"));
        let again = FlowRun { empirical_policy: plan.run.empirical_policy, ..flow_run(Running) };
        check_rejects(&RULE, &pause(again), "This pause has already fired.");
    }

    #[test]
    fn gives_a_pause_a_key_that_a_replay_gives_it_again() {
        let transition = propose(flow_run(Running), Paused);
        let keys = |plan: crate::orchestration::Plan<FlowRun>| plan.run.empirical_policy.pause_keys.unwrap();
        let first = keys(check_accepts(&RULE, &transition));
        assert_eq!(first.len(), 1);
        assert_eq!(first, keys(check_accepts(&RULE, &transition)));
    }

    #[test]
    fn forgets_what_was_said_to_an_earlier_attempt() {
        let mut transition = pause(flow_run(Running));
        let keyset = [("schema", "pause-1-schema"), ("response", "pause-1-response")];
        let keyset = keyset.map(|(name, key)| (name.to_owned(), key.to_owned()));
        transition.proposed.state_details.run_input_keyset = Some(keyset.into());
        let plan = check_accepts(&RULE, &transition);
        let keys = ["pause-1-response", "pause-1-schema"].map(|key| key.parse().unwrap()).into();
        assert_eq!(plan.effects, [Effect::DeleteFlowRunInputs { flow_run_id: plan.run.id, keys }]);

        transition.run.empirical_policy.pause_keys = Some(["first".to_owned()].into());
        let plan = check_rejects(&RULE, &transition, "This pause has already fired.");
        assert_eq!(plan.effects, []);
    }

    #[test]
    fn suspends_deployed_flows_without_a_parent() {
        let deployed = FlowRun { deployment_id: Some(DeploymentId::new()), ..flow_run(Running) };
        check_accepts(&RULE, &suspend(deployed.clone()));
        check_aborts(&RULE, &suspend(flow_run(Running)), "Cannot suspend flows without a deployment.");
        let subflow = FlowRun { parent_task_run_id: Some(TaskRunId::new()), ..deployed };
        check_aborts(&RULE, &suspend(subflow), "Cannot suspend subflows.");
    }
}
