use crate::{
    model::{FlowRun, StateType},
    orchestration::{Attempt, CollisionStrategy, Need, Rule, Ruling, Scope, StateTypes, Transition},
};

/// Cancels a late run for which its deployment would not wait (Prefect's `EnforceDeploymentConcurrencyOnLate`).
///
/// A deployment that cancels new runs when its limit is reached does so when they are submitted; the runs
/// that no worker takes would pile up as late ones without this rule.
pub struct EnforceDeploymentConcurrencyOnLate;

impl Rule<FlowRun> for EnforceDeploymentConcurrencyOnLate {
    fn name(&self) -> &'static str {
        "EnforceDeploymentConcurrencyOnLate"
    }

    fn scope(&self) -> Scope {
        let scheduled = StateTypes::of(&[StateType::Scheduled]);
        Scope::Between { from: scheduled, to: scheduled }
    }

    fn needs(&self, transition: &Transition<FlowRun>) -> Vec<Need> {
        transition.run.deployment_id.map(Need::Deployment).into_iter().collect()
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        if attempt.proposed.name != "Late" {
            return Ruling::Pass;
        }
        let Some(deployment) = &attempt.transition.facts.deployment else {
            return Ruling::Pass;
        };
        let is_full = deployment.limit.as_ref().is_some_and(|limit| limit.active_slots >= limit.limit);
        if deployment.collision_strategy == CollisionStrategy::CancelNew && is_full {
            let mut cancelled = attempt.state(StateType::Cancelled);
            cancelled.message = Some("Deployment concurrency limit reached.".to_owned());
            let reason = "Deployment concurrency limit is full and uses the CANCEL_NEW strategy.";
            return Ruling::replace(cancelled, reason);
        }
        Ruling::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            ConcurrencyLimitId, DeploymentId,
            StateType::{Cancelled, Scheduled},
        },
        orchestration::{
            DeploymentConcurrency, SlotLimit,
            testing::{check_accepts, check_replaces, flow_run, propose},
        },
    };

    fn late(collision_strategy: CollisionStrategy, active_slots: i64) -> Transition<FlowRun> {
        let run = FlowRun { deployment_id: Some(DeploymentId::new()), ..flow_run(Scheduled) };
        let mut transition = propose(run, Scheduled);
        transition.proposed.name = "Late".to_owned();
        let limit = SlotLimit {
            id: ConcurrencyLimitId::new(),
            name: "deployment:1".to_owned(),
            active: true,
            limit: 1,
            active_slots,
            average_occupancy_seconds: 2.0,
        };
        transition.facts.deployment =
            Some(DeploymentConcurrency { limit: Some(limit), collision_strategy, grace_period_seconds: None });
        transition
    }

    #[test]
    fn cancels_where_the_deployment_does_not_wait() {
        let reason = "Deployment concurrency limit is full and uses the CANCEL_NEW strategy.";
        let transition = late(CollisionStrategy::CancelNew, 1);
        check_replaces(&EnforceDeploymentConcurrencyOnLate, &transition, (Cancelled, "Cancelled"), reason);
    }

    #[test]
    fn marks_as_late_otherwise() {
        check_accepts(&EnforceDeploymentConcurrencyOnLate, &late(CollisionStrategy::CancelNew, 0));
        check_accepts(&EnforceDeploymentConcurrencyOnLate, &late(CollisionStrategy::Enqueue, 1));
    }
}
