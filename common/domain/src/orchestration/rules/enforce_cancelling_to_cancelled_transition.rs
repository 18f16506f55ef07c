use crate::{
    model::{FlowRun, StateType},
    orchestration::{Attempt, Rule, Ruling, Scope, StateTypes},
};

/// Lets a flow run that is being cancelled end as cancelled only (Prefect's `EnforceCancellingToCancelledTransition`).
pub struct EnforceCancellingToCancelledTransition;

impl Rule<FlowRun> for EnforceCancellingToCancelledTransition {
    fn name(&self) -> &'static str {
        "EnforceCancellingToCancelledTransition"
    }

    fn scope(&self) -> Scope {
        Scope::Between {
            from: StateTypes::of(&[StateType::Cancelling]),
            to: StateTypes::ALL.except(StateTypes::of(&[StateType::Cancelled])),
        }
    }

    fn before(&self, _attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        Ruling::reject("Cannot transition flows that are cancelling to a state other than Cancelled.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::StateType::{Cancelled, Cancelling},
        orchestration::testing::{check_accepts, check_rejects, flow_run, propose},
    };

    #[test]
    fn rejects_every_state_but_cancelled() {
        let reason = "Cannot transition flows that are cancelling to a state other than Cancelled.";
        for target in StateType::ALL.into_iter().filter(|target| *target != Cancelled) {
            check_rejects(&EnforceCancellingToCancelledTransition, &propose(flow_run(Cancelling), target), reason);
        }
    }

    #[test]
    fn accepts_cancelled() {
        check_accepts(&EnforceCancellingToCancelledTransition, &propose(flow_run(Cancelling), Cancelled));
    }
}
