use crate::{
    model::{FlowRun, StateType},
    orchestration::{Attempt, Rule, Ruling, Scope, StateTypes},
};

/// Cancels at once what has no infrastructure to be stopped first (Prefect's `BypassCancellingFlowRunsWithNoInfra`).
///
/// That is a scheduled run that no worker has given an `infrastructure_pid`, one that is to be resumed, and
/// a suspended one, whose process has exited.
pub struct BypassCancellingFlowRunsWithNoInfra;

impl Rule<FlowRun> for BypassCancellingFlowRunsWithNoInfra {
    fn name(&self) -> &'static str {
        "BypassCancellingFlowRunsWithNoInfra"
    }

    fn scope(&self) -> Scope {
        Scope::Between {
            from: StateTypes::of(&[StateType::Scheduled, StateType::Paused]),
            to: StateTypes::of(&[StateType::Cancelling]),
        }
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        let Some(initial) = attempt.initial() else {
            return Ruling::Pass;
        };
        let has_infrastructure = attempt.run.infrastructure_pid.as_deref().is_some_and(|pid| !pid.is_empty());
        let cancelled = attempt.state(StateType::Cancelled);
        if (initial.r#type == StateType::Scheduled && !has_infrastructure) || initial.name == "Resuming" {
            Ruling::replace(cancelled, "Scheduled flow run has no infrastructure to terminate.")
        } else if initial.r#type == StateType::Paused && initial.state_details.pause_reschedule {
            Ruling::replace(cancelled, "Suspended flow run has no infrastructure to terminate.")
        } else {
            Ruling::Pass
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::StateType::{Cancelled, Cancelling, Paused, Scheduled},
        orchestration::testing::{check_accepts, check_replaces, flow_run, propose},
    };

    const RULE: BypassCancellingFlowRunsWithNoInfra = BypassCancellingFlowRunsWithNoInfra;
    const CANCELLED: (StateType, &str) = (Cancelled, "Cancelled");

    #[test]
    fn cancels_a_scheduled_run_without_infrastructure() {
        let reason = "Scheduled flow run has no infrastructure to terminate.";
        check_replaces(&RULE, &propose(flow_run(Scheduled), Cancelling), CANCELLED, reason);

        let with_pid = FlowRun { infrastructure_pid: Some("host:1".to_owned()), ..flow_run(Scheduled) };
        check_accepts(&RULE, &propose(with_pid.clone(), Cancelling));

        let mut resuming = with_pid;
        resuming.state = resuming.state.map(|state| state.named("Resuming"));
        check_replaces(&RULE, &propose(resuming, Cancelling), CANCELLED, reason);
    }

    #[test]
    fn cancels_a_suspended_run() {
        check_accepts(&RULE, &propose(flow_run(Paused), Cancelling));
        let mut suspended = flow_run(Paused);
        suspended.state.as_mut().unwrap().state_details.pause_reschedule = true;
        let reason = "Suspended flow run has no infrastructure to terminate.";
        check_replaces(&RULE, &propose(suspended, Cancelling), CANCELLED, reason);
    }
}
