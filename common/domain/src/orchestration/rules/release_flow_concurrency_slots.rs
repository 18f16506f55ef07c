use crate::{
    model::{FlowRun, StateType},
    orchestration::{Effect, Need, Outcome, Rule, Scope, StateTypes, Status, Transition},
};

/// The states in which a flow run has a slot of its deployment's limit.
const WITH_SLOT: StateTypes = StateTypes::of(&[StateType::Pending, StateType::Running, StateType::Cancelling]);

/// Frees the slot of the deployment's limit that a run had (Prefect's `ReleaseFlowConcurrencySlots`).
///
/// It goes with the lease that the run took it with. Where that is gone, or there never was one, Prefect frees a slot all
/// the same, which is some other run's. A run that goes on keeps its lease, also when its state was forced and doesn't
/// name it. A run that is retried by its own process keeps it as well, and gives it back if it is not retried after all.
pub struct ReleaseFlowConcurrencySlots;

impl Rule<FlowRun> for ReleaseFlowConcurrencySlots {
    fn name(&self) -> &'static str {
        "ReleaseFlowConcurrencySlots"
    }

    fn scope(&self) -> Scope {
        Scope::Universal
    }

    fn needs(&self, transition: &Transition<FlowRun>) -> Vec<Need> {
        transition.run.held_lease.map(Need::Lease).into_iter().collect()
    }

    fn after(&self, outcome: &mut Outcome<'_, FlowRun>) {
        let Some(entered) = outcome.state.as_deref() else { return };
        let is_retried_in_process = entered.r#type == StateType::Scheduled
            && entered.name == "AwaitingRetry"
            && outcome.verdict.status() == Status::Reject;
        let goes_on = is_retried_in_process || WITH_SLOT.contains(Some(entered.r#type));
        let leases = &outcome.transition.facts.leases;
        let held = outcome.transition.run.held_lease.filter(|lease_id| leases.contains(lease_id));
        outcome.run.held_lease = outcome.acquired_lease().or(held).filter(|_| goes_on);
        if let Some(lease_id) = held.filter(|_| outcome.run.held_lease != held) {
            outcome.emit(Effect::ReleaseLease { lease_id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            ConcurrencyLimitId, DeploymentId, FlowRunPolicy, LeaseId,
            StateType::{Cancelled, Cancelling, Completed, Failed, Paused, Pending, Running, Scheduled},
        },
        orchestration::{
            DeploymentConcurrency, SlotLimit, decide,
            policy::{CORE_FLOW_POLICY, MINIMAL_FLOW_POLICY},
            testing::{check_accepts, flow_run, propose},
        },
    };

    const RULE: ReleaseFlowConcurrencySlots = ReleaseFlowConcurrencySlots;

    fn leave(initial: StateType, proposed: StateType) -> (LeaseId, Transition<FlowRun>) {
        let lease_id = LeaseId::new();
        let run = FlowRun { held_lease: Some(lease_id), ..flow_run(initial) };
        let mut transition = propose(run, proposed);
        transition.facts.leases.insert(lease_id);
        (lease_id, transition)
    }

    #[test]
    fn releases_the_lease() {
        for (initial, proposed) in [(Running, Completed), (Pending, Cancelled), (Running, Scheduled), (Running, Paused)]
        {
            let (lease_id, transition) = leave(initial, proposed);
            assert_eq!(check_accepts(&RULE, &transition).effects, [Effect::ReleaseLease { lease_id }]);
        }
    }

    #[test]
    fn frees_no_slot_of_another_run() {
        let (_, mut transition) = leave(Running, Completed);
        transition.facts.leases.clear();
        assert_eq!(check_accepts(&RULE, &transition).effects, []);
        let other = transition.run.held_lease.take();
        transition.run.state.as_mut().unwrap().state_details.deployment_concurrency_lease_id = other;
        transition.facts.leases.extend(other);
        assert_eq!(check_accepts(&RULE, &transition).effects, []);
    }

    #[test]
    fn leaves_the_lease_to_a_run_that_goes_on_also_where_its_state_is_forced() {
        for (initial, proposed) in [(Pending, Running), (Running, Pending), (Running, Cancelling), (Scheduled, Running)]
        {
            let (lease_id, transition) = leave(initial, proposed);
            let plan = decide(&MINIMAL_FLOW_POLICY, &transition);
            assert_eq!((plan.effects, plan.run.held_lease), (Vec::new(), Some(lease_id)));
        }
    }

    #[test]
    fn leaves_the_lease_to_a_run_that_is_retried_in_its_process_and_not_for_longer() {
        let (lease_id, mut transition) = leave(Running, Failed);
        transition.run.empirical_policy = FlowRunPolicy { retries: Some(1), ..FlowRunPolicy::default() };
        let plan = decide(&CORE_FLOW_POLICY, &transition);
        assert_eq!(plan.run.state_name.as_deref(), Some("AwaitingRetry"));
        assert_eq!(plan.effects, []);
        let mut transition = propose(plan.run, Cancelled);
        transition.facts.leases.insert(lease_id);
        assert_eq!(check_accepts(&RULE, &transition).effects, [Effect::ReleaseLease { lease_id }]);
    }

    #[test]
    fn releases_the_lease_of_a_run_that_takes_another_one() {
        let (lease_id, mut transition) = leave(Scheduled, Pending);
        transition.run.deployment_id = Some(DeploymentId::new());
        let limit = SlotLimit {
            id: ConcurrencyLimitId::new(),
            name: "deployment:1".to_owned(),
            active: true,
            limit: 2,
            active_slots: 1,
            average_occupancy_seconds: 2.0,
        };
        transition.facts.deployment = Some(DeploymentConcurrency { limit: Some(limit), ..Default::default() });
        let plan = decide(&CORE_FLOW_POLICY, &transition);
        assert!(plan.effects.contains(&Effect::ReleaseLease { lease_id }));
        let taken = plan.entered().unwrap().state_details.deployment_concurrency_lease_id;
        assert!(taken.is_some() && taken != Some(lease_id));
        assert_eq!(plan.run.held_lease, taken);
    }

    #[test]
    fn asks_for_the_lease_that_the_run_holds() {
        let (lease_id, mut transition) = leave(Running, Completed);
        assert_eq!(RULE.needs(&transition), [Need::Lease(lease_id)]);
        transition.run.held_lease = None;
        assert_eq!(RULE.needs(&transition), []);
    }
}
