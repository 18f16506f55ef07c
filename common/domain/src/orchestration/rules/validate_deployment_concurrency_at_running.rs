use crate::{
    model::{FlowRun, LeaseId, StateType},
    orchestration::{
        Attempt, Effect, LeaseHolder, Need, Outcome, Rule, Ruling, Scope, StateTypes, Transition,
        rules::secure_flow_concurrency_slots::lease_seconds,
    },
};

/// Makes sure that a run that starts still has its deployment's slot.
///
/// Prefect's rule of the same name. The lease is renewed. If the reaper took the slot back while infrastructure was provided, a free one is
/// taken; without one the run is cancelled, since its process is already there and can't be put off. Only
/// clients that renew leases are held to this.
pub struct ValidateDeploymentConcurrencyAtRunning;

impl Rule<FlowRun> for ValidateDeploymentConcurrencyAtRunning {
    fn name(&self) -> &'static str {
        "ValidateDeploymentConcurrencyAtRunning"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::of(&[StateType::Pending]), to: StateTypes::of(&[StateType::Running]) }
    }

    fn needs(&self, transition: &Transition<FlowRun>) -> Vec<Need> {
        let lease_id = transition.initial().and_then(|initial| initial.state_details.deployment_concurrency_lease_id);
        match (lease_id, transition.run.deployment_id) {
            (Some(lease_id), Some(deployment_id)) if transition.client.renews_leases() => {
                vec![Need::Lease(lease_id), Need::Deployment(deployment_id)]
            }
            _ => Vec::new(),
        }
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        let transition = attempt.transition;
        let lease_id = attempt.initial().and_then(|initial| initial.state_details.deployment_concurrency_lease_id);
        attempt.proposed.state_details.deployment_concurrency_lease_id = lease_id;
        let Some(lease_id) = lease_id else {
            return Ruling::Pass;
        };
        if !transition.client.renews_leases() || attempt.run.deployment_id.is_none() {
            return Ruling::Pass;
        }
        let Some(deployment) = &transition.facts.deployment else {
            return Ruling::Pass;
        };
        let Some(limit) = &deployment.limit else {
            return Ruling::Pass;
        };
        let ttl_seconds = lease_seconds(deployment, &transition.settings);
        if transition.facts.leases.contains(&lease_id) {
            attempt.emit(Effect::RenewLease { lease_id, ttl_seconds });
            return Ruling::Pass;
        }
        if limit.has_free_slot() {
            let lease_id = LeaseId(attempt.mint("lease"));
            attempt.proposed.state_details.deployment_concurrency_lease_id = Some(lease_id);
            attempt.emit(Effect::AcquireSlots {
                lease_id,
                limits: vec![limit.id],
                ttl_seconds,
                holder: Some(LeaseHolder::FlowRun(transition.run.id)),
            });
            return Ruling::Pass;
        }
        let mut cancelled = attempt.state(StateType::Cancelled);
        let message = "Deployment concurrency slot lost during provisioning - \
            no slots available to continue execution";
        cancelled.message = Some(message.to_owned());
        Ruling::replace(cancelled, "Deployment concurrency limit reached after lease expiry.")
    }

    /// Unlike Prefect's, it does not keep the slot, or the renewal, when the run has to wait after all: Prefect
    /// forgets the new lease then, and the slot is lost until the reaper finds it.
    fn clean_up(&self, outcome: &mut Outcome<'_, FlowRun>) {
        outcome.withdraw_effects();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            ConcurrencyLimitId, DeploymentId,
            StateType::{Cancelled, Pending, Running},
        },
        orchestration::{
            Client, ClientVersion, DeploymentConcurrency, SlotLimit, decide,
            policy::CORE_FLOW_POLICY,
            testing::{check_accepts, check_replaces, flow_run, now, propose},
        },
    };

    const RULE: ValidateDeploymentConcurrencyAtRunning = ValidateDeploymentConcurrencyAtRunning;

    fn start(active_slots: i64) -> (LeaseId, Transition<FlowRun>) {
        let lease_id = LeaseId::new();
        let mut run = FlowRun { deployment_id: Some(DeploymentId::new()), ..flow_run(Pending) };
        run.state.as_mut().unwrap().state_details.deployment_concurrency_lease_id = Some(lease_id);
        let mut transition = propose(run, Running);
        let version = ClientVersion::from_user_agent("prefect/3.8.8 (API 0.8.4)");
        transition.client = Client { version, ..Client::default() };
        let limit = SlotLimit {
            id: ConcurrencyLimitId::new(),
            name: "deployment:1".to_owned(),
            active: true,
            limit: 1,
            active_slots,
            average_occupancy_seconds: 2.0,
        };
        transition.facts.deployment = Some(DeploymentConcurrency {
            limit: Some(limit),
            grace_period_seconds: Some(90),
            ..DeploymentConcurrency::default()
        });
        (lease_id, transition)
    }

    #[test]
    fn renews_the_lease() {
        let (lease_id, mut transition) = start(1);
        transition.facts.leases.insert(lease_id);
        let plan = check_accepts(&RULE, &transition);
        assert_eq!(plan.effects, [Effect::RenewLease { lease_id, ttl_seconds: 90.0 }]);
        assert_eq!(plan.entered().unwrap().state_details.deployment_concurrency_lease_id, Some(lease_id));
    }

    #[test]
    fn takes_another_slot_when_its_own_was_taken_back() {
        let (old_lease_id, transition) = start(0);
        let plan = check_accepts(&RULE, &transition);
        let lease_id = plan.entered().unwrap().state_details.deployment_concurrency_lease_id.unwrap();
        assert_ne!(lease_id, old_lease_id);
        assert!(matches!(&plan.effects[..], [Effect::AcquireSlots { lease_id: taken, .. }] if *taken == lease_id));
    }

    #[test]
    fn cancels_the_run_when_its_slot_is_lost() {
        let (_, transition) = start(1);
        let reason = "Deployment concurrency limit reached after lease expiry.";
        check_replaces(&RULE, &transition, (Cancelled, "Cancelled"), reason);
    }

    #[test]
    fn does_not_hold_old_clients_to_it() {
        let (lease_id, mut transition) = start(1);
        transition.client = Client::default();
        assert_eq!(RULE.needs(&transition), []);
        let plan = check_accepts(&RULE, &transition);
        assert_eq!(plan.effects, []);
        assert_eq!(plan.entered().unwrap().state_details.deployment_concurrency_lease_id, Some(lease_id));
    }

    #[test]
    fn takes_no_slot_for_a_run_that_has_to_wait() {
        let (_, mut transition) = start(0);
        transition.run.state.as_mut().unwrap().state_details.scheduled_time = Some(now().plus_seconds(60.0));
        let plan = decide(&CORE_FLOW_POLICY, &transition);
        assert_eq!(plan.entered(), None);
        assert_eq!(plan.effects, []);
    }
}
