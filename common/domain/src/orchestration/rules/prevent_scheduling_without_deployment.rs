use crate::{
    model::{FlowRun, StateType},
    orchestration::{Attempt, Need, Rule, Ruling, Scope, StateTypes, Transition},
};

/// Why a run stays where it is.
const REASON: &str = "Cannot reschedule a run whose deployment no longer exists.";

/// Keeps a run from waiting for a deployment that was deleted, even by force.
///
/// A rule of our own. Prefect looks whether the run has a deployment's id, and deleting the deployment leaves it the id. So a
/// run that has ended, or is suspended, becomes scheduled, is handed out to whoever polls its queue, and is aborted on its way
/// to PENDING because the deployment is gone, again and again.
pub struct PreventSchedulingWithoutDeployment;

impl PreventSchedulingWithoutDeployment {
    /// Tells whether nothing but the deployment can carry the run on: no process is left that waits for it.
    fn is_up_to_deployment(transition: &Transition<FlowRun>) -> bool {
        transition.initial().is_some_and(|state| {
            state.r#type != StateType::Paused || state.state_details.pause_reschedule
        })
    }
}

impl Rule<FlowRun> for PreventSchedulingWithoutDeployment {
    fn name(&self) -> &'static str {
        "PreventSchedulingWithoutDeployment"
    }

    fn scope(&self) -> Scope {
        let ended_or_paused = StateTypes::of(&[
            StateType::Completed,
            StateType::Failed,
            StateType::Crashed,
            StateType::Cancelled,
            StateType::Paused,
        ]);
        Scope::Between { from: ended_or_paused, to: StateTypes::of(&[StateType::Scheduled]) }
    }

    fn needs(&self, transition: &Transition<FlowRun>) -> Vec<Need> {
        let deployment = transition.run.deployment_id.filter(|_| Self::is_up_to_deployment(transition));
        deployment.map(Need::Deployment).into_iter().collect()
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        let transition = attempt.transition;
        let is_gone = attempt.run.deployment_id.is_some() && transition.facts.deployment.is_none();
        if is_gone && Self::is_up_to_deployment(transition) { Ruling::abort(REASON) } else { Ruling::Pass }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            DeploymentId,
            StateType::{Crashed, Paused, Scheduled},
        },
        orchestration::{
            DeploymentConcurrency, decide,
            policy::flow_policy,
            testing::{check_aborts, check_accepts, flow_run, propose},
        },
    };

    const RULE: PreventSchedulingWithoutDeployment = PreventSchedulingWithoutDeployment;

    fn reschedule(initial: StateType, has_deployment: bool) -> Transition<FlowRun> {
        let run = FlowRun { deployment_id: Some(DeploymentId::new()), ..flow_run(initial) };
        let mut transition = propose(run, Scheduled);
        transition.facts.deployment = has_deployment.then(DeploymentConcurrency::default);
        transition
    }

    #[test]
    fn a_run_that_has_ended_is_scheduled_again_while_its_deployment_is_there() {
        check_aborts(&RULE, &reschedule(Crashed, false), REASON);
        check_accepts(&RULE, &reschedule(Crashed, true));
        check_accepts(&RULE, &propose(flow_run(Crashed), Scheduled));
        let transition = reschedule(Crashed, true);
        assert_eq!(RULE.needs(&transition), [Need::Deployment(transition.run.deployment_id.unwrap())]);
    }

    #[test]
    fn a_pause_goes_on_where_its_process_waits() {
        let mut transition = reschedule(Paused, false);
        check_accepts(&RULE, &transition);
        assert_eq!(RULE.needs(&transition), []);
        transition.run.state.as_mut().unwrap().state_details.pause_reschedule = true;
        check_aborts(&RULE, &transition, REASON);
    }

    #[test]
    fn force_does_not_help() {
        for is_forced in [false, true] {
            assert_eq!(decide(flow_policy(is_forced), &reschedule(Crashed, false)).entered(), None, "{is_forced}");
            assert!(decide(flow_policy(is_forced), &reschedule(Crashed, true)).entered().is_some(), "{is_forced}");
        }
    }
}
