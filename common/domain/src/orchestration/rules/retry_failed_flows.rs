use std::collections::BTreeSet;

use crate::{
    model::{FlowRun, RetryType, StateType},
    orchestration::{Attempt, Effect, Rule, Ruling, Scope, StateTypes},
};

/// Schedules a failed flow run again while it has retries left (Prefect's `RetryFailedFlows`).
///
/// The run is retried by the process that it failed in, so it keeps its deployment's slot, and its pauses
/// fire again. Clients before API 0.8.3 expect the failed task runs to be scheduled along with it.
pub struct RetryFailedFlows;

impl Rule<FlowRun> for RetryFailedFlows {
    fn name(&self) -> &'static str {
        "RetryFailedFlows"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::of(&[StateType::Running]), to: StateTypes::of(&[StateType::Failed]) }
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        let Some(initial) = attempt.initial() else {
            return Ruling::Pass;
        };
        let policy = &mut attempt.run.empirical_policy;
        if policy.retries.is_none_or(|retries| attempt.run.run_count > retries) {
            policy.retry_type = None;
            return Ruling::Pass;
        }
        #[allow(clippy::cast_precision_loss, reason = "a delay of 285 million years may be off by a second")]
        let delay_seconds = policy.retry_delay.unwrap_or(0) as f64;
        if attempt.transition.client.knows_pauses() {
            policy.resuming = Some(false);
            policy.pause_keys = Some(BTreeSet::new());
            policy.retry_type = Some(RetryType::InProcess);
        }

        let scheduled_time = attempt.now().plus_seconds(delay_seconds);
        if attempt.transition.client.retries_task_runs_with_the_flow() {
            let flow_run_id = attempt.run.id;
            attempt.emit(Effect::RetryFailedTaskRuns { flow_run_id, scheduled_time });
        }
        let mut retry = attempt.state(StateType::Scheduled).named("AwaitingRetry");
        retry.message.clone_from(&attempt.proposed.message);
        retry.data.clone_from(&attempt.proposed.data);
        retry.state_details.scheduled_time = Some(scheduled_time);
        retry.state_details.deployment_concurrency_lease_id = initial.state_details.deployment_concurrency_lease_id;
        Ruling::replace(retry, "Retrying")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            FlowRunPolicy, LeaseId,
            StateType::{Failed, Running, Scheduled},
        },
        orchestration::{
            ApiVersion,
            testing::{check_accepts, check_replaces, flow_run, now, propose},
        },
    };

    const AWAITING_RETRY: (StateType, &str) = (Scheduled, "AwaitingRetry");

    fn run(retries: Option<i64>, run_count: i64) -> FlowRun {
        let empirical_policy = FlowRunPolicy { retries, retry_delay: Some(5), ..FlowRunPolicy::default() };
        FlowRun { empirical_policy, run_count, ..flow_run(Running) }
    }

    #[test]
    fn retries_after_the_delay() {
        let mut run = run(Some(1), 1);
        let lease_id = Some(LeaseId::new());
        run.state.as_mut().unwrap().state_details.deployment_concurrency_lease_id = lease_id;
        let mut transition = propose(run, Failed);
        transition.proposed.message = Some("it broke".to_owned());
        let plan = check_replaces(&RetryFailedFlows, &transition, AWAITING_RETRY, "Retrying");
        let entered = plan.entered().unwrap();
        assert_eq!(entered.message.as_deref(), Some("it broke"));
        assert_eq!(entered.state_details.scheduled_time, Some(now().plus_seconds(5.0)));
        assert_eq!(entered.state_details.deployment_concurrency_lease_id, lease_id);
        assert_eq!(plan.run.next_scheduled_start_time, Some(now().plus_seconds(5.0)));
        assert_eq!(plan.run.empirical_policy.retry_type, Some(RetryType::InProcess));
        assert_eq!(plan.effects, []);
    }

    #[test]
    fn fails_without_retries_left() {
        check_accepts(&RetryFailedFlows, &propose(run(None, 1), Failed));
        let mut exhausted = run(Some(1), 2);
        exhausted.empirical_policy.retry_type = Some(RetryType::InProcess);
        let plan = check_accepts(&RetryFailedFlows, &propose(exhausted, Failed));
        assert_eq!(plan.run.empirical_policy.retry_type, None);
    }

    #[test]
    fn retries_the_task_runs_too_for_old_clients() {
        let mut transition = propose(run(Some(1), 1), Failed);
        transition.client.api_version = Some(ApiVersion(0, 8, 2));
        let plan = check_replaces(&RetryFailedFlows, &transition, AWAITING_RETRY, "Retrying");
        let scheduled_time = now().plus_seconds(5.0);
        assert_eq!(plan.effects, [Effect::RetryFailedTaskRuns { flow_run_id: plan.run.id, scheduled_time }]);
        assert_eq!(plan.run.empirical_policy.retry_type, None, "such a client knows no retry types");
    }
}
