use crate::{
    model::FlowRun,
    orchestration::{Attempt, Rule, Ruling, Scope},
};

/// Carries the lease on the deployment's slot from state to state (Prefect's `PreserveDeploymentConcurrencyLeaseId`).
///
/// Workers propose states whose lease is null; without this rule the run would forget the slot that it holds.
pub struct PreserveDeploymentConcurrencyLeaseId;

impl Rule<FlowRun> for PreserveDeploymentConcurrencyLeaseId {
    fn name(&self) -> &'static str {
        "PreserveDeploymentConcurrencyLeaseId"
    }

    fn scope(&self) -> Scope {
        Scope::Universal
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        if let Some(initial) = attempt.initial() {
            let lease_id = &mut attempt.proposed.state_details.deployment_concurrency_lease_id;
            *lease_id = lease_id.or(initial.state_details.deployment_concurrency_lease_id);
        }
        Ruling::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{LeaseId, StateType::Pending},
        orchestration::testing::{check_accepts, flow_run, propose},
    };

    fn carried(initial: Option<LeaseId>, proposed: Option<LeaseId>) -> Option<LeaseId> {
        let mut run = flow_run(Pending);
        run.state.as_mut().unwrap().state_details.deployment_concurrency_lease_id = initial;
        let mut transition = propose(run, Pending);
        transition.proposed.state_details.deployment_concurrency_lease_id = proposed;
        let plan = check_accepts(&PreserveDeploymentConcurrencyLeaseId, &transition);
        plan.entered().unwrap().state_details.deployment_concurrency_lease_id
    }

    #[test]
    fn carries_the_lease_over() {
        let (first, second) = (LeaseId::new(), LeaseId::new());
        assert_eq!(carried(Some(first), None), Some(first));
        assert_eq!(carried(Some(first), Some(second)), Some(second));
        assert_eq!(carried(None, None), None);
    }
}
