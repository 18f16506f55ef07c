use crate::{
    model::{FlowRun, LeaseId, StateType},
    orchestration::{
        Attempt, CollisionStrategy, DeploymentConcurrency, Effect, Need, Outcome, Rule, Ruling, Scope, Settings,
        StateTypes, Transition,
    },
};

/// Takes a slot of the deployment's limit for a run that is submitted (Prefect's `SecureFlowConcurrencySlots`).
///
/// The slot is taken on the way to PENDING, before a worker provides infrastructure for nothing. It comes
/// with a lease, which the client has to renew once the run is running. Without a free slot the run waits
/// for one or is cancelled, as the deployment has it.
pub struct SecureFlowConcurrencySlots;

impl Rule<FlowRun> for SecureFlowConcurrencySlots {
    fn name(&self) -> &'static str {
        "SecureFlowConcurrencySlots"
    }

    fn scope(&self) -> Scope {
        let submitted = StateTypes::of(&[StateType::Pending, StateType::Running, StateType::Cancelling]);
        Scope::Between { from: StateTypes::ALL.except(submitted), to: StateTypes::of(&[StateType::Pending]) }
    }

    fn needs(&self, transition: &Transition<FlowRun>) -> Vec<Need> {
        if transition.client.manages_deployment_slots() {
            return Vec::new();
        }
        transition.run.deployment_id.map(Need::Deployment).into_iter().collect()
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        let transition = attempt.transition;
        if attempt.run.deployment_id.is_none() || transition.client.manages_deployment_slots() {
            return Ruling::Pass;
        }
        let Some(deployment) = &transition.facts.deployment else {
            return Ruling::abort("Deployment not found.");
        };
        let Some(limit) = &deployment.limit else {
            return Ruling::Pass;
        };
        if limit.limit == 0 {
            return Ruling::abort("The deployment concurrency limit is 0. The flow will deadlock if submitted again.");
        }
        if limit.has_free_slot() {
            let lease_id = LeaseId(attempt.mint("lease"));
            attempt.proposed.state_details.deployment_concurrency_lease_id = Some(lease_id);
            attempt.emit(Effect::AcquireSlots {
                lease_id,
                limits: vec![limit.id],
                ttl_seconds: lease_seconds(deployment, &transition.settings),
                holder: None,
            });
            return Ruling::Pass;
        }
        let reason = "Deployment concurrency limit reached.";
        let state = match deployment.collision_strategy {
            CollisionStrategy::Enqueue => {
                let wait_seconds = transition.settings.deployment_concurrency_slot_wait_seconds;
                let mut state = attempt.state(StateType::Scheduled).named("AwaitingConcurrencySlot");
                state.state_details.scheduled_time = Some(attempt.now().plus_seconds(wait_seconds));
                state
            }
            CollisionStrategy::CancelNew => {
                let mut state = attempt.state(StateType::Cancelled);
                state.message = Some(reason.to_owned());
                state
            }
        };
        Ruling::replace(state, reason)
    }

    /// The client is answered the run's state without a lease, while the run keeps its state as it is: that
    /// is what the real server answers.
    fn clean_up(&self, outcome: &mut Outcome<'_, FlowRun>) {
        if outcome.withdraw_effects()
            && let Some(state) = outcome.state.as_deref_mut()
        {
            state.state_details.deployment_concurrency_lease_id = None;
        }
    }
}

/// Returns how long a lease on the deployment's slot lasts before it has to be renewed, in seconds.
#[allow(clippy::cast_precision_loss, reason = "the contract has it between a minute and a day")]
pub(super) fn lease_seconds(deployment: &DeploymentConcurrency, settings: &Settings) -> f64 {
    match deployment.grace_period_seconds {
        Some(seconds) => seconds as f64,
        None => settings.initial_deployment_lease_seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            ConcurrencyLimitId, DeploymentId,
            StateType::{Cancelled, Paused, Pending, Scheduled},
        },
        orchestration::{
            Client, ClientVersion, SlotLimit, decide,
            policy::CORE_FLOW_POLICY,
            testing::{check_aborts, check_accepts, check_replaces, flow_run, now, propose},
        },
    };

    const RULE: SecureFlowConcurrencySlots = SecureFlowConcurrencySlots;

    fn limit(limit: i64, active_slots: i64) -> SlotLimit {
        SlotLimit {
            id: ConcurrencyLimitId::new(),
            name: "deployment:1".to_owned(),
            active: true,
            limit,
            active_slots,
            average_occupancy_seconds: 2.0,
        }
    }

    fn submit(initial: StateType, deployment: impl Into<Option<DeploymentConcurrency>>) -> Transition<FlowRun> {
        let run = FlowRun { deployment_id: Some(DeploymentId::new()), ..flow_run(initial) };
        let mut transition = propose(run, Pending);
        transition.facts.deployment = deployment.into();
        transition
    }

    fn limited(limit: SlotLimit) -> DeploymentConcurrency {
        DeploymentConcurrency { limit: Some(limit), ..DeploymentConcurrency::default() }
    }

    #[test]
    fn takes_a_slot_and_leases_it() {
        let limit = limit(2, 1);
        let plan = check_accepts(&RULE, &submit(Scheduled, limited(limit.clone())));
        let lease_id = plan.entered().unwrap().state_details.deployment_concurrency_lease_id.unwrap();
        let expected = Effect::AcquireSlots { lease_id, limits: vec![limit.id], ttl_seconds: 300.0, holder: None };
        assert_eq!(plan.effects, [expected]);
    }

    #[test]
    fn asks_for_the_deployment() {
        let transition = submit(Scheduled, None);
        assert_eq!(RULE.needs(&transition), [Need::Deployment(transition.run.deployment_id.unwrap())]);
        assert_eq!(RULE.needs(&propose(flow_run(Scheduled), Pending)), []);
    }

    #[test]
    fn leaves_unlimited_runs_alone() {
        assert_eq!(check_accepts(&RULE, &propose(flow_run(Scheduled), Pending)).effects, []);
        assert_eq!(check_accepts(&RULE, &submit(Scheduled, DeploymentConcurrency::default())).effects, []);
    }

    #[test]
    fn leaves_it_to_the_workers_that_take_slots_themselves() {
        let mut transition = submit(Scheduled, limited(limit(1, 1)));
        let version = ClientVersion::from_user_agent("prefect/3.0.2 (API 0.8.4)");
        transition.client = Client { version, ..Client::default() };
        assert_eq!(check_accepts(&RULE, &transition).effects, []);
    }

    #[test]
    fn waits_for_a_slot() {
        let transition = submit(Scheduled, limited(limit(1, 1)));
        let reason = "Deployment concurrency limit reached.";
        let plan = check_replaces(&RULE, &transition, (Scheduled, "AwaitingConcurrencySlot"), reason);
        assert_eq!(plan.run.next_scheduled_start_time, Some(now().plus_seconds(30.0)));
    }

    #[test]
    fn cancels_for_want_of_a_slot() {
        let mut transition = submit(Scheduled, limited(limit(1, 1)));
        transition.facts.deployment.as_mut().unwrap().collision_strategy = CollisionStrategy::CancelNew;
        let reason = "Deployment concurrency limit reached.";
        let plan = check_replaces(&RULE, &transition, (Cancelled, "Cancelled"), reason);
        assert_eq!(plan.entered().unwrap().message.as_deref(), Some(reason));
    }

    #[test]
    fn does_not_wait_for_what_never_comes() {
        let reason = "The deployment concurrency limit is 0. The flow will deadlock if submitted again.";
        check_aborts(&RULE, &submit(Scheduled, limited(limit(0, 0))), reason);
        check_aborts(&RULE, &submit(Scheduled, None), "Deployment not found.");
    }

    #[test]
    fn takes_no_slot_when_another_rule_turns_the_run_down() {
        let plan = decide(&CORE_FLOW_POLICY, &submit(Paused, limited(limit(1, 0))));
        assert_eq!(plan.entered(), None);
        assert_eq!(plan.effects, []);
    }
}
