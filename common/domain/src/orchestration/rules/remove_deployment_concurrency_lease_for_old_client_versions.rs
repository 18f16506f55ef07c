use crate::{
    model::{FlowRun, StateType},
    orchestration::{Effect, Outcome, Rule, Scope, StateTypes},
};

/// How long a lease lasts that nobody renews, in seconds: longer than any run.
const UNTIL_THE_RUN_ENDS: f64 = 100.0 * 365.25 * 86_400.0;

/// Keeps the slot of an old client, which would not renew its lease, until the run ends.
///
/// Otherwise the reaper would take it back from under the run. Prefect's rule of the same name deletes the lease and
/// leaves the slot taken; here the lease lasts, so that the run's end or deletion gives back this slot and no other.
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
        if let Some(lease_id) = outcome.run.held_lease
            && !outcome.transition.client.renews_leases()
        {
            outcome.emit(Effect::RenewLease { lease_id, ttl_seconds: UNTIL_THE_RUN_ENDS });
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
        let run = FlowRun { held_lease: Some(lease_id), ..flow_run(Pending) };
        let mut transition = propose(run, Running);
        transition.client = Client { version: ClientVersion::from_user_agent(user_agent), ..Client::default() };
        (lease_id, check_accepts(&RemoveDeploymentConcurrencyLeaseForOldClientVersions, &transition).effects)
    }

    #[test]
    fn the_lease_of_a_client_that_would_not_renew_it_lasts() {
        for user_agent in ["prefect/3.4.10 (API 0.8.4)", "curl/8.0"] {
            let (lease_id, effects) = effects(user_agent);
            assert_eq!(effects, [Effect::RenewLease { lease_id, ttl_seconds: UNTIL_THE_RUN_ENDS }]);
        }
    }

    #[test]
    fn a_client_that_renews_its_lease_has_to() {
        assert_eq!(effects("prefect/3.4.11 (API 0.8.4)").1, []);
    }
}
