use std::collections::BTreeSet;

use crate::{
    model::{FlowRun, RetryType, StateType},
    orchestration::{
        Attempt, Outcome, Rule, Ruling, Scope, StateTypes, Verdict, rules::handle_pausing_flows::verb,
    },
};

/// Governs how a flow run leaves a pause (Prefect's `HandleResumingPausedFlows`).
///
/// A paused run is resumed, scheduled, cancelled or ended, and nothing else; a suspended one needs a
/// deployment that starts it anew; one that was not resumed in time fails. Whatever comes of it, the
/// rejection of another target included, the run is marked as resuming: the mark keeps the next execution
/// from being counted. That a rejected PENDING leaves the mark too is what the real server does.
///
/// A blocking pause is resumed in its process. If it is scheduled instead, that process is gone: the run starts a new
/// attempt, which counts, and on which each pause fires again.
pub struct HandleResumingPausedFlows;

impl Rule<FlowRun> for HandleResumingPausedFlows {
    fn name(&self) -> &'static str {
        "HandleResumingPausedFlows"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::of(&[StateType::Paused]), to: StateTypes::ALL }
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        let Some(initial) = attempt.initial() else {
            return Ruling::Pass;
        };
        let target = attempt.proposed.r#type;
        if matches!(target, StateType::Pending | StateType::Paused) {
            return Ruling::reject(format!(
                "This run cannot transition to the StateType.{target} state from the StateType.{} state.",
                initial.r#type
            ));
        }
        let name = attempt.proposed.name.to_lowercase();
        let name = if name.is_empty() { target.as_str().to_lowercase() } else { name };
        if initial.state_details.pause_reschedule && attempt.run.deployment_id.is_none() {
            return Ruling::reject(format!("Cannot reschedule a {name} flow run without a deployment."));
        }
        // The process of a blocking pause is alive: it has to be told of its cancellation, however late.
        if target == StateType::Cancelling {
            return Ruling::Pass;
        }
        if initial.state_details.pause_timeout.is_some_and(|timeout| timeout < attempt.now()) {
            let mut failed = attempt.state(StateType::Failed);
            failed.message = Some(format!("The flow was {name} and never resumed."));
            let verb = verb(attempt.proposed);
            return Ruling::replace(failed, format!("The flow run {verb} has timed out and can no longer resume."));
        }
        Ruling::Pass
    }

    fn after(&self, outcome: &mut Outcome<'_, FlowRun>) {
        let starts_anew = *outcome.verdict == Verdict::Accept
            && outcome.state.as_ref().is_some_and(|state| state.r#type == StateType::Scheduled)
            && outcome.transition.initial().is_some_and(|initial| !initial.state_details.pause_reschedule)
            && outcome.transition.client.knows_pauses();
        let policy = &mut outcome.run.empirical_policy;
        policy.resuming = Some(!starts_anew);
        if starts_anew {
            policy.pause_keys = Some(BTreeSet::new());
            policy.retry_type = Some(RetryType::Reschedule);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            DeploymentId,
            StateType::{Cancelling, Completed, Failed, Paused, Pending, Running, Scheduled},
        },
        orchestration::testing::{check_accepts, check_rejects, check_replaces, flow_run, now, propose},
    };

    const RULE: HandleResumingPausedFlows = HandleResumingPausedFlows;

    #[test]
    fn resumes() {
        for target in [Running, Completed, Cancelling] {
            let plan = check_accepts(&RULE, &propose(flow_run(Paused), target));
            assert_eq!(plan.run.empirical_policy.resuming, Some(true));
        }
    }

    #[test]
    fn starts_a_blocking_pause_that_is_scheduled_anew() {
        let mut transition = propose(flow_run(Paused), Scheduled);
        transition.run.empirical_policy.pause_keys = Some(["first".to_owned()].into());
        let policy = check_accepts(&RULE, &transition).run.empirical_policy;
        assert_eq!((policy.resuming, policy.pause_keys), (Some(false), Some(BTreeSet::new())));
        assert_eq!(policy.retry_type, Some(RetryType::Reschedule));

        transition.client.api_version = Some("0.8.3".parse().unwrap());
        let policy = check_accepts(&RULE, &transition).run.empirical_policy;
        assert_eq!((policy.resuming, policy.retry_type), (Some(true), None), "such a client knows no pauses");
        assert_eq!(policy.pause_keys, Some(["first".to_owned()].into()));
    }

    #[test]
    fn remembers_the_pauses_of_a_suspended_run() {
        let mut transition = propose(flow_run(Paused), Scheduled);
        transition.run.deployment_id = Some(DeploymentId::new());
        transition.run.empirical_policy.pause_keys = Some(["first".to_owned()].into());
        transition.run.state.as_mut().unwrap().state_details.pause_reschedule = true;
        let policy = check_accepts(&RULE, &transition).run.empirical_policy;
        assert_eq!((policy.resuming, policy.pause_keys), (Some(true), Some(["first".to_owned()].into())));
    }

    #[test]
    fn marks_the_run_as_resuming_even_when_it_rejects() {
        let reason = "This run cannot transition to the StateType.PENDING state from the StateType.PAUSED state.";
        let plan = check_rejects(&RULE, &propose(flow_run(Paused), Pending), reason);
        assert_eq!(plan.run.empirical_policy.resuming, Some(true));
        assert!(plan.is_changed);
    }

    #[test]
    fn needs_a_deployment_to_start_a_suspended_run_anew() {
        let mut run = flow_run(Paused);
        run.state.as_mut().unwrap().state_details.pause_reschedule = true;
        let reason = "Cannot reschedule a scheduled flow run without a deployment.";
        check_rejects(&RULE, &propose(run, Scheduled), reason);
    }

    #[test]
    fn fails_a_run_that_was_not_resumed_in_time() {
        let mut run = flow_run(Paused);
        run.state.as_mut().unwrap().state_details.pause_timeout = Some(now().plus_seconds(-1.0));
        let reason = "The flow run pause has timed out and can no longer resume.";
        let plan = check_replaces(&RULE, &propose(run.clone(), Running), (Failed, "Failed"), reason);
        let message = plan.entered().unwrap().message.as_deref();
        assert_eq!(message, Some("The flow was running and never resumed."));
        check_accepts(&RULE, &propose(run, Cancelling));
    }
}
