use crate::{
    model::FlowRun,
    orchestration::{Attempt, Rule, Ruling, Scope, StateTypes},
};

/// Rejects a state that the run has already entered (Prefect's `PreventDuplicateTransitions`).
///
/// A client that did not hear the answer proposes the same state again, under the same `transition_id`.
pub struct PreventDuplicateTransitions;

impl Rule<FlowRun> for PreventDuplicateTransitions {
    fn name(&self) -> &'static str {
        "PreventDuplicateTransitions"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::ALL, to: StateTypes::ALL }
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        let entered = attempt.initial().and_then(|initial| initial.state_details.transition_id);
        if entered.is_some() && entered == attempt.proposed.state_details.transition_id {
            return Ruling::reject("This run has already made this state transition.");
        }
        Ruling::Pass
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        model::StateType::{Pending, Running},
        orchestration::{
            Transition,
            testing::{check_accepts, check_rejects, flow_run, propose},
        },
    };

    fn transition(initial: Option<u128>, proposed: Option<u128>) -> Transition<FlowRun> {
        let mut run = flow_run(Pending);
        run.state.as_mut().unwrap().state_details.transition_id = initial.map(Uuid::from_u128);
        let mut transition = propose(run, Running);
        transition.proposed.state_details.transition_id = proposed.map(Uuid::from_u128);
        transition
    }

    #[test]
    fn rejects_a_repeated_transition() {
        let reason = "This run has already made this state transition.";
        check_rejects(&PreventDuplicateTransitions, &transition(Some(1), Some(1)), reason);
    }

    #[test]
    fn accepts_any_other_transition() {
        for (initial, proposed) in [(None, None), (Some(1), None), (None, Some(1)), (Some(1), Some(2))] {
            check_accepts(&PreventDuplicateTransitions, &transition(initial, proposed));
        }
        check_accepts(&PreventDuplicateTransitions, &propose(flow_run(None), Running));
    }
}
