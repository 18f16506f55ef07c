use crate::{
    model::{FlowRun, StateType},
    orchestration::{Effect, Need, Outcome, Rule, Scope, Status, StateTypes, Transition},
};

/// The states in which a flow run has a slot of its deployment's limit.
const WITH_SLOT: StateTypes = StateTypes::of(&[StateType::Pending, StateType::Running, StateType::Cancelling]);

/// Frees the slot of the deployment's limit that a run had (upstream's `ReleaseFlowConcurrencySlots`).
///
/// It goes with its lease. If the state names no lease, the run is taken to have a slot without one, as the runs
/// of old clients have. A lease that is named and gone has taken its slot along: upstream frees another one all the same,
/// which is some other run's. A run that is retried by its own process keeps its slot and goes on to renew the
/// lease.
pub struct ReleaseFlowConcurrencySlots;

impl Rule<FlowRun> for ReleaseFlowConcurrencySlots {
    fn name(&self) -> &'static str {
        "ReleaseFlowConcurrencySlots"
    }

    fn scope(&self) -> Scope {
        Scope::Universal
    }

    fn needs(&self, transition: &Transition<FlowRun>) -> Vec<Need> {
        let Some(initial) = transition.initial().filter(|initial| WITH_SLOT.contains(Some(initial.r#type))) else {
            return Vec::new();
        };
        let Some(deployment_id) = transition.run.deployment_id else {
            return Vec::new();
        };
        let lease_id = initial.state_details.deployment_concurrency_lease_id;
        lease_id.map(Need::Lease).into_iter().chain([Need::Deployment(deployment_id)]).collect()
    }

    fn after(&self, outcome: &mut Outcome<'_, FlowRun>) {
        let transition = outcome.transition;
        let (Some(initial), Some(entered)) = (transition.initial(), outcome.state.as_deref()) else {
            return;
        };
        let leaves = WITH_SLOT.contains(Some(initial.r#type)) && !WITH_SLOT.contains(Some(entered.r#type));
        let is_retried_in_process = entered.r#type == StateType::Scheduled
            && entered.name == "AwaitingRetry"
            && outcome.verdict.status() == Status::Reject;
        if !leaves || is_retried_in_process || outcome.run.deployment_id.is_none() {
            return;
        }
        let lease_id = initial.state_details.deployment_concurrency_lease_id;
        let limit = transition.facts.deployment.as_ref().and_then(|deployment| deployment.limit.as_ref());
        match (lease_id, limit) {
            (Some(lease_id), _) if transition.facts.leases.contains(&lease_id) => {
                outcome.emit(Effect::ReleaseLease { lease_id });
            }
            (None, Some(limit)) => outcome.emit(Effect::ReleaseSlot { limit: limit.id }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            ConcurrencyLimitId, DeploymentId, FlowRunPolicy, LeaseId,
            StateType::{Cancelled, Completed, Failed, Pending, Running, Scheduled},
        },
        orchestration::{
            DeploymentConcurrency, SlotLimit, decide,
            policy::CORE_FLOW_POLICY,
            testing::{check_accepts, flow_run, propose},
        },
    };

    const RULE: ReleaseFlowConcurrencySlots = ReleaseFlowConcurrencySlots;

    fn leave(initial: StateType, proposed: StateType) -> (LeaseId, ConcurrencyLimitId, Transition<FlowRun>) {
        let (lease_id, limit_id) = (LeaseId::new(), ConcurrencyLimitId::new());
        let mut run = FlowRun { deployment_id: Some(DeploymentId::new()), ..flow_run(initial) };
        run.state.as_mut().unwrap().state_details.deployment_concurrency_lease_id = Some(lease_id);
        let mut transition = propose(run, proposed);
        let limit = SlotLimit {
            id: limit_id,
            name: "deployment:1".to_owned(),
            active: true,
            limit: 1,
            active_slots: 1,
            average_occupancy_seconds: 2.0,
        };
        transition.facts.deployment =
            Some(DeploymentConcurrency { limit: Some(limit), ..DeploymentConcurrency::default() });
        transition.facts.leases.insert(lease_id);
        (lease_id, limit_id, transition)
    }

    #[test]
    fn releases_the_lease() {
        for (initial, proposed) in [(Running, Completed), (Pending, Cancelled), (Running, Scheduled)] {
            let (lease_id, _, transition) = leave(initial, proposed);
            assert_eq!(check_accepts(&RULE, &transition).effects, [Effect::ReleaseLease { lease_id }]);
        }
    }

    #[test]
    fn frees_a_slot_without_a_lease() {
        let (_, limit, mut transition) = leave(Running, Completed);
        let initial = transition.run.state.as_mut().unwrap();
        initial.state_details.deployment_concurrency_lease_id = None;
        assert_eq!(check_accepts(&RULE, &transition).effects, [Effect::ReleaseSlot { limit }]);
    }

    #[test]
    fn frees_nothing_once_the_lease_is_gone() {
        let (_, _, mut transition) = leave(Running, Completed);
        transition.facts.leases.clear();
        assert_eq!(check_accepts(&RULE, &transition).effects, []);
    }

    #[test]
    fn leaves_the_slot_to_a_run_that_goes_on() {
        for (initial, proposed) in [(Pending, Running), (Running, Pending), (Scheduled, Cancelled)] {
            assert_eq!(check_accepts(&RULE, &leave(initial, proposed).2).effects, []);
        }
    }

    #[test]
    fn leaves_the_slot_to_a_run_that_is_retried_in_its_process() {
        let (_, _, mut transition) = leave(Running, Failed);
        transition.run.empirical_policy = FlowRunPolicy { retries: Some(1), ..FlowRunPolicy::default() };
        let plan = decide(&CORE_FLOW_POLICY, &transition);
        assert_eq!(plan.run.state_name.as_deref(), Some("AwaitingRetry"));
        assert_eq!(plan.effects, []);
    }

    #[test]
    fn asks_for_the_lease_and_the_limit_of_runs_that_may_have_a_slot() {
        let (lease_id, _, transition) = leave(Running, Completed);
        let deployment_id = transition.run.deployment_id.unwrap();
        assert_eq!(RULE.needs(&transition), [Need::Lease(lease_id), Need::Deployment(deployment_id)]);
        assert_eq!(RULE.needs(&leave(Scheduled, Pending).2), []);
    }
}
