use crate::{
    model::{FlowRun, StateType},
    orchestration::{Effect, Outcome, Rule, Scope, StateTypes},
};

/// Deletes the lease that an old client would not renew.
///
/// Upstream's rule of the same name. The lease's slot stays taken until the run ends; otherwise the reaper would take it back from under the run.
pub struct RemoveDeploymentConcurrencyLeaseForOldClientVersions;

impl Rule<FlowRun> for RemoveDeploymentConcurrencyLeaseForOldClientVersions {
    fn name(&self) -> &'static str {
        "RemoveDeploymentConcurrencyLeaseForOldClientVersions"
    }

    fn scope(&self) -> Scope {
        Scope::Between {
            from: StateTypes::of(&[StateType::Pending]),
            to: StateTypes::of(&[StateType::Running, StateType::Cancelling]),
        }
    }

    fn after(&self, outcome: &mut Outcome<'_, FlowRun>) {
        let initial = outcome.transition.initial();
        let lease_id = initial.and_then(|initial| initial.state_details.deployment_concurrency_lease_id);
        if let Some(lease_id) = lease_id
            && !outcome.transition.client.renews_leases()
        {
            outcome.emit(Effect::RevokeLease { lease_id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            LeaseId,
            StateType::{Pending, Running},
        },
        orchestration::{
            Client, ClientVersion,
            testing::{check_accepts, flow_run, propose},
        },
    };

    fn effects(user_agent: &str) -> (LeaseId, Vec<Effect>) {
        let lease_id = LeaseId::new();
        let mut run = flow_run(Pending);
        run.state.as_mut().unwrap().state_details.deployment_concurrency_lease_id = Some(lease_id);
        let mut transition = propose(run, Running);
        transition.client = Client { version: ClientVersion::from_user_agent(user_agent), ..Client::default() };
        (lease_id, check_accepts(&RemoveDeploymentConcurrencyLeaseForOldClientVersions, &transition).effects)
    }

    #[test]
    fn revokes_the_lease_of_a_client_that_would_not_renew_it() {
        for user_agent in ["prefect/3.4.10 (API 0.8.4)", "curl/8.0"] {
            let (lease_id, effects) = effects(user_agent);
            assert_eq!(effects, [Effect::RevokeLease { lease_id }]);
        }
    }

    #[test]
    fn leaves_the_lease_to_a_client_that_renews_it() {
        assert_eq!(effects("prefect/3.4.11 (API 0.8.4)").1, []);
    }
}
