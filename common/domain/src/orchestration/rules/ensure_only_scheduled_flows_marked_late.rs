use crate::{
    model::{FlowRun, StateType},
    orchestration::{Attempt, Rule, Ruling, Scope, StateTypes},
};

/// Marks as late only what is scheduled, and only once (Prefect's `EnsureOnlyScheduledFlowsMarkedLate`).
///
/// The run may have started while the late-runs service was looking at it.
pub struct EnsureOnlyScheduledFlowsMarkedLate;

impl Rule<FlowRun> for EnsureOnlyScheduledFlowsMarkedLate {
    fn name(&self) -> &'static str {
        "EnsureOnlyScheduledFlowsMarkedLate"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::ALL, to: StateTypes::of(&[StateType::Scheduled]) }
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        match attempt.initial() {
            Some(initial) if attempt.proposed.name == "Late" => {
                if initial.r#type != StateType::Scheduled {
                    Ruling::reject("Only scheduled flows can be marked late.")
                } else if initial.name == "Late" {
                    Ruling::reject("This flow run is already marked late.")
                } else {
                    Ruling::Pass
                }
            }
            _ => Ruling::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::StateType::{Running, Scheduled},
        orchestration::{
            Transition,
            testing::{check_accepts, check_rejects, flow_run, propose},
        },
    };

    fn late(run: FlowRun) -> Transition<FlowRun> {
        let mut transition = propose(run, Scheduled);
        transition.proposed.name = "Late".to_owned();
        transition
    }

    #[test]
    fn marks_scheduled_runs_only() {
        let reason = "Only scheduled flows can be marked late.";
        check_rejects(&EnsureOnlyScheduledFlowsMarkedLate, &late(flow_run(Running)), reason);
        check_accepts(&EnsureOnlyScheduledFlowsMarkedLate, &late(flow_run(Scheduled)));
        check_accepts(&EnsureOnlyScheduledFlowsMarkedLate, &propose(flow_run(Running), Scheduled));
    }

    #[test]
    fn marks_once() {
        let mut run = flow_run(Scheduled);
        run.state = run.state.map(|state| state.named("Late"));
        let reason = "This flow run is already marked late.";
        check_rejects(&EnsureOnlyScheduledFlowsMarkedLate, &late(run), reason);
    }
}
